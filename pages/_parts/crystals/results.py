"""What a generator has made: all samples small, one of them whole, and what can be done with them."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from matgen_core.data import StructureFile
from matgen_core.materials.formulas import subscripted
from matgen_core.tasks import origin
from matgen_core.tasks.crystals import packing, sampling, translated
from matgen_core.tasks.crystals.sampling import Asked, Request, Sample
from matgen_core.tasks.origin import checkpoint_version
from matgen_core.tasks.validation import columns
from matgen_core.views.crystals import bench
from pages._parts.components.crystal_viewer import crystal_viewer
from pages._parts.crystals import cards
from pages._parts.crystals.asking import SAMPLE
from pages._parts.crystals.cards import Card
from pages._parts.shared import bench_crystals, plain_text, verdict_words, widgets
from pages._parts.shared.plain_text import code, plain

_ORDERS = {
    "": "As they came",
    "realness_place": "Most real",
    "volume_per_atom": "Smallest volume",
    "n_sites": "Fewest sites",
}
_MOST_ON_JOURNEYS = 60  # samples that a journey shows


def lights_of(made: Sequence[Sample]) -> list[str]:
    """Return what is shown as lights of some samples."""
    return [each for each in translated.LIGHTS if made and each in made[0].row]


def gallery(made: Sequence[Sample], n_columns: int, looked_at: int | None = None) -> None:
    """Show samples small; `looked_at` is the place of the one that is looked at, None if none can be."""
    shown = [Card(each.number - 1, each.name, each.row, _line(each), partial(picture, each)) for each in made]
    cards.grid(shown, lights_of(made), n_columns, looked_at, None if looked_at is None else look_at)


def look_at(place: int) -> None:
    """Look at one sample."""
    st.session_state[SAMPLE] = str(place + 1)


def _line(sample: Sample) -> str:
    """Write its space group and its size."""
    if sample.structure is None:
        return ""
    number, symbol = sample.symmetry.number, sample.symmetry.symbol
    group = "no space group" if number is None else f"{symbol} ({number})"
    return f":small[{plain(group)} · {len(sample.structure)} sites]"


def picture(sample: Sample) -> None:
    """Show a sample small, or that there is nothing to show."""
    if sample.picture:
        st.image(sample.picture, width=cards.PICTURE, alt=f"{sample.row['formula']}, {sample.name}")
    else:
        st.caption("no crystal to draw" if sample.structure is None else "its cell cannot be drawn")


def counts(made: Sequence[Sample], asked: Request) -> None:
    """Say in one line how many are crystals and how many pass each light, of all that there are."""
    n_crystals = sum(each.structure is not None for each in made)
    parts = [f"**{n_crystals}** are crystals"]
    for name, passed, undecided in sampling.tally(made, lights_of(made)):
        title = columns.column(name).title
        parts.append(
            f"{plain(title[:1].lower() + title[1:])} **{passed}**" + (f" ({undecided} undecided)" if undecided else "")
        )
    so_far = f"{len(made):,} of {asked.n:,}" if len(made) < asked.n else f"{asked.n:,}"
    st.markdown(f"Of **{so_far}** samples, failed ones included: {' · '.join(parts)}")


def show(made: Sequence[Sample], asked: Request) -> None:
    """Show everything of the samples that there are."""
    table = sampling.table(made, asked)
    counts(made, asked)
    save(made, asked, table)
    with st.container(key="room_crystals"):
        left, right = st.columns([7, 6], gap="medium")
    with left:
        more = [each for each in (translated.KEPT,) if each in table]
        orders = {key: title for key, title in _ORDERS.items() if not key or key in table}
        places = cards.chosen(table, [*lights_of(made), *more], "No crystal", orders, "crystals")
        looked_at = _looked_at(made, places)
        cards.paged(places, "crystals_page", lambda here: gallery([made[place] for place in here], 2, looked_at))
    with right, st.container(border=True):
        detail(made[looked_at], asked)
    with st.expander(f"All {len(made):,} as a table", icon=":material/table:"):
        whole_table(table)


def _looked_at(made: Sequence[Sample], places: Sequence[int]) -> int:
    """The sample that the address names, else the first crystal that is shown."""
    text = widgets.remembered(SAMPLE)
    if text.isdecimal() and 0 < int(text) <= len(made):
        return int(text) - 1
    return next((place for place in places if made[place].structure is not None), places[0] if places else 0)


def detail(sample: Sample, asked: Request) -> None:
    """Show one sample: the crystal, what can be said of it, every check with its reason, where it may go from here."""
    formula = subscripted(sample.row["formula"]) if sample.row["formula"] else "no crystal"
    st.subheader(f"{plain(formula)} :small[:gray[{plain(sample.name)}]]")
    if sample.structure is None:
        plain_text.warning(
            f"It decodes to no crystal: {sample.problem}. It passes no check, and counts in every share."
        )
        return
    if sample.picture:
        with bench_crystals.told():
            drawn = bench_crystals.scene(bench.digest(sample.name, sample.structure), sample.structure, False)
            source = sampling.origin_of(asked, checkpoint_version(asked.model))
            crystal_viewer([drawn], key="crystals_viewer", height=330, origin=f"{sample.name}; {source}")
    st.markdown("  \n".join(f"{plain(title)} **{plain(value)}**" for title, value in sampling.facts(sample)))
    lines = []
    checks = [sampling.NOVEL, translated.METALS, *(each.name for each in sampling.CHECKS)]
    for check in (each for each in checks if each in sample.row):
        reason = str(sample.row[f"{check}_reason"]).replace("^3", "³")
        lines.append(verdict_words.line(columns.column(check).title, cards.answer(sample.row[check]), reason))
    with st.expander("Every check, with its reason", icon=":material/checklist:", expanded=True):
        st.markdown("  \n".join(lines))
    ways_on(sample, asked)


def ways_on(sample: Sample, asked: Request) -> None:
    """Offer to take one sample to another page."""
    with st.container(horizontal=True, vertical_alignment="center"):
        name = f"{asked.model} {sample.name}, seed {asked.settings['seed']}"
        files = [StructureFile(name, name, sample.structure)]
        bench_crystals.open_on_bench([], "crystals_bench", files)
        bench_crystals.send_to_validate(files, f"Crystals: {name}", "crystals_validate_one", asked.settings)
        if isinstance(asked, Asked) and not asked.composition and asked.model in widgets.names_with_map():
            is_far = sample.number > _MOST_ON_JOURNEYS
            if st.button(
                "Open in Journeys",
                key="crystals_journey",
                icon=":material/route:",
                disabled=is_far,
                help=f"Its point in the latent space among the first {_MOST_ON_JOURNEYS} samples of this seed, with"
                " what lies near it",
            ):
                st.switch_page("pages/journeys.py", query_params=_as_journey(sample, asked))


def _as_journey(sample: Sample, asked: Asked) -> dict[str, str]:
    """Return the address of the journey that draws the same points."""
    return {
        "journey": asked.model,
        "mode": "Samples",
        "around": "Prior",
        "n_samples": str(min(max(asked.n, 2), _MOST_ON_JOURNEYS)),
        "seed": str(asked.seed),
        "step": str(sample.number),
        **{name: f"{value:g}" for name, value in asked.wanted},
    }


def save(made: Sequence[Sample], asked: Request, table: pd.DataFrame) -> None:
    """Offer the files, and the whole set to Validate."""
    models, settings = [asked.model], asked.settings
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Save all as zip",
            lambda: packing.packed(
                made,
                table,
                origin.origin(models, settings),
                sampling.origin_of(asked, checkpoint_version(asked.model)),
            ),
            "crystals.zip",
            "application/zip",
            on_click="ignore",
            icon=":material/folder_zip:",
            help="table.csv with a row for every sample, and a CIF of each crystal",
        )
        widgets.download(table, "crystals.csv", models=models, settings=settings)
        files = [
            StructureFile(each.name, each.name, each.structure, f"not decoded: {each.problem}" if each.problem else "")
            for each in made
        ]
        bench_crystals.send_to_validate(files, f"Crystals: {asked.title}", "crystals_validate", settings)
        st.caption(
            f"{code(asked.model)} relaxes nothing, and no light says that a crystal is stable: Validate does.",
            width="content",
        )


def whole_table(table: pd.DataFrame) -> None:
    """Show the one table."""
    checks = columns.checks(table)
    config = {}
    for key in map(str, table):
        column = columns.column(key)
        if column.digits is not None:
            config[key] = st.column_config.NumberColumn(column.title, format=f"%.{column.digits}f")
        elif key in checks:
            config[key] = st.column_config.CheckboxColumn(column.title, help=plain(column.meaning) or None)
        else:
            config[key] = st.column_config.Column(column.title)
    st.dataframe(
        table,
        hide_index=True,
        height="content" if len(table) <= 10 else 420,
        column_config=config,
        alt=f"{len(table)} samples",
    )
