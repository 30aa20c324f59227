"""Inputs that several pages share, state that outlives a page, and what every page says of a checkpoint."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import streamlit as st
from streamlit.elements import plotly_chart as _  # noqa: F401 puts Streamlit's template in force before any figure

from matgen_core import checkpoint as checkpoints
from matgen_core import data
from matgen_core.checkpoint import CheckpointError
from matgen_core.materials import query
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.levels import LEVELS, PHASE_FIELD, Level
from matgen_core.materials.properties import Column
from pages._parts.shared import plain_text
from pages._parts.shared.folder_caches import by_folder
from pages._parts.shared.plain_text import plain
from pages._parts.words import glossary

if TYPE_CHECKING:  # they bring torch and pandas, for which Home does not wait
    import pandas as pd

    from matgen_core.checkpoint import Checkpoint

_Option = TypeVar("_Option")
_Given = ParamSpec("_Given")
PROJECTIONS = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}


# Checkpoints


@by_folder(st.cache_resource, max_entries=24, show_spinner="Reading the model …")  # all shipped: 0.4 GB
def read(name: str) -> "Checkpoint":
    """Return a checkpoint.

    Raises:
        CheckpointError: If it cannot be used.
    """
    return checkpoints.load(name)


def summaries() -> tuple[list[dict[str, Any]], list[str]]:
    """Return what can be said of each checkpoint, those that can do most first, and a line for each that is broken."""
    good, broken = [], []
    for name in checkpoints.names():
        try:
            good.append(_summary(name))
        except CheckpointError as error:
            broken.append(str(error))
    return sorted(good, key=lambda each: -len(each["capabilities"])), broken


@by_folder(st.cache_data, max_entries=100, show_spinner=False)
def _summary(name: str) -> dict[str, Any]:
    return checkpoints.summary(name)


def names_with(capability: str, level: Level | None = PHASE_FIELD) -> list[str]:
    """Return the checkpoints of a level (None: of any) that can do something, those that can do most first."""
    able = [each for each in summaries()[0] if capability in each["capabilities"]]
    return [each["name"] for each in able if level is None or each["level"] == level.key]


def names_with_map() -> list[str]:
    """Return the checkpoints with a latent map: those of phase fields first, then by what they can do."""
    levels = [level.key for level in LEVELS]
    mapped = [each for each in summaries()[0] if checkpoints.has_map(each["name"])]
    return [each["name"] for each in sorted(mapped, key=lambda each: levels.index(each["level"]))]


def load(name: str) -> "Checkpoint":
    """Return a checkpoint, or show why it cannot be used and end the page."""
    try:
        return read(name)
    except CheckpointError as error:
        plain_text.error(error)
        st.stop()


def readable(names: Sequence[str]) -> list[str]:
    """Return those of some checkpoints that can be used, and show a line for each other one."""
    found = []
    for name in names:
        try:
            read(name)
        except CheckpointError as error:
            plain_text.error(error)
        else:
            found.append(name)
    return found


def while_it_is_there(callback: Callable[_Given, None]) -> Callable[_Given, None]:
    """Let a callback do nothing if a checkpoint that it needs has been removed or broken since the page was drawn.

    The run of the page that follows says so.
    """

    @wraps(callback)
    def called(*arguments: _Given.args, **named: _Given.kwargs) -> None:
        with suppress(CheckpointError):
            callback(*arguments, **named)

    return called


def choose_checkpoint(
    label: str,
    names: Sequence[str],
    key: str,
    on_change: Callable[[], None] | Literal["rerun"] = "rerun",
    recipe: str = "phase_field_vae",
    **layout: Any,
) -> str:
    """Let the visitor choose one of some checkpoints, or say that there is none and end the page.

    Args:
        label: What stands over the choice.
        names: The checkpoints.
        key: Of the choice, also in the address.
        on_change: Called when another is chosen.
        recipe: One that makes such a checkpoint.
        layout: As Streamlit takes it.
    """
    if not names:
        st.info(f"No checkpoint here can do this. Make one with: `matgen train {recipe}`")
        for line in summaries()[1]:
            plain_text.error(line)
        st.stop()
    before = st.session_state.get(f"{key}@seen")
    if before is not None and before not in names:
        plain_text.warning(f"{before} is not here any more, or cannot be used; this is another model.")
        st.session_state[key] = names[0]
        if callable(on_change):
            on_change()
    chosen: str = st.selectbox(label, names, key=key, bind="query-params", on_change=on_change, **layout)
    st.session_state[f"{key}@seen"] = chosen
    return chosen


# State


def remembered(name: str, default: str = "") -> str:
    """Return a value that outlives the page and stands in the address, so that a reload or a link reopens the view.

    Set it with `st.session_state[name] = ...` in a callback. A link to the page with another value wins.
    """
    ours = f"{name}@address"
    in_address = st.query_params.get(name)
    if in_address is not None and in_address != st.session_state.get(ours):
        st.session_state[name] = in_address
    value: str = st.session_state.setdefault(name, default)
    if value == default:
        st.query_params.pop(name, None)
        st.session_state[ours] = None
    elif in_address != value:
        st.query_params[name] = value
    if value != default:
        st.session_state[ours] = value
    return value


# Inputs


def whole_number(label: str, low: int, high: int, usual: int, key: str, help: str | None = None, **layout: Any) -> int:
    """Ask for a whole number that stands in the address, too.

    Args:
        label: What stands over it.
        low: The lowest.
        high: The highest.
        usual: Taken at first, and where the address names no such number.
        key: Of the input, also in the address.
        help: What it means.
        layout: As Streamlit takes it.
    """
    text = st.query_params.get(key, "")
    try:
        is_endless = math.isinf(float(text))
    except ValueError:
        is_endless = False
    if is_endless:  # Streamlit refuses any other number that does not fit, but breaks at this one
        _leave_out(key)
    return int(st.number_input(label, low, high, usual, key=key, help=help, bind="query-params", **layout))


def one_of(label: str, options: Sequence[_Option], usual: _Option, key: str, **layout: Any) -> _Option:
    """Ask for one of a few things that stand side by side; it stands in the address, too.

    Args:
        label: What stands over it.
        options: The things.
        usual: Taken at first, and where the address names none of them.
        key: Of the input, also in the address.
        layout: As Streamlit takes it.
    """
    if st.query_params.get(key) == "":  # Streamlit would choose nothing
        _leave_out(key)
    chosen = st.segmented_control(label, options, default=usual, required=True, key=key, bind="query-params", **layout)
    return usual if chosen is None else chosen


def _leave_out(key: str) -> None:
    """Run the page again without a value of its address: what is typed there is read before a page can look at it."""
    st.query_params.pop(key)
    st.rerun()


def search(
    label: str,
    key: str,
    names: Sequence[str],
    label_visibility: Literal["visible", "collapsed"] = "visible",
) -> list[bool]:
    """Show a search line and tell which names it finds; all of them if it is empty or cannot be understood."""
    text = st.text_input(
        label,
        key=key,
        bind="query-params",
        placeholder=f"{label}: Li-*-S-*   has:Li not:Pb",
        label_visibility=label_visibility,
        help=plain(query.HELP),
    )
    try:
        found = query.find(text or "", names)
        for note in query.notes(text or ""):
            st.text(note)
        return found
    except ValueError as error:
        plain_text.error(error)
        return [True] * len(names)


def field_table(
    table: "pd.DataFrame",
    key: str,
    on_choose: Callable[[str], None],
    height: int | Literal["content"],
    titles: Sequence[Column] = (),
    more: Mapping[str, Any] | None = None,
) -> None:
    """Show a table of phase fields (`name` or `phase_field`) or of materials (`id`); a click on a row chooses one.

    Args:
        table: The rows.
        key: Of the table.
        on_choose: Called with what was clicked.
        height: Of the table.
        titles: Columns of the index that are in it.
        more: Settings of further columns, by name.
    """
    column = next(each for each in ("id", "phase_field", "name") if each in table)
    names = tuple(table[column])

    units = {
        each.name: (st.column_config.TextColumn if each.is_category else st.column_config.NumberColumn)(each.title)
        for each in titles
    }

    def choose() -> None:
        cells = st.session_state[key]["selection"]["cells"]
        if cells:
            on_choose(names[cells[0][0]])

    st.dataframe(
        table if column == "id" else table.assign(**{column: list(map(PHASE_FIELD.display, names))}),
        key=key,
        hide_index=True,
        height=height,
        on_select=choose,
        selection_mode="single-cell",
        column_config={
            **units,
            **(more or {}),
            column: st.column_config.TextColumn("Material" if column == "id" else "Phase field"),
            "formula": st.column_config.TextColumn("Formula"),
            "score": st.column_config.NumberColumn("Score", format="%.3f", help=glossary.help_on("score")),
            "score_std": st.column_config.NumberColumn(
                "± members", format="%.3f", help="standard deviation over the ensemble"
            ),
            "rank": st.column_config.NumberColumn("Rank", format="%d", help="1 is most like known chemistry"),
            "ranks": st.column_config.TextColumn("Rank, 90 %", help=glossary.help_on("interval")),
            "known": st.column_config.CheckboxColumn("Known"),
            "unseen_elements": st.column_config.TextColumn("Never seen", help="elements that are in no training field"),
            "distance": st.column_config.NumberColumn("Distance", format="%.2f", help=glossary.help_on("latent")),
            "anions": st.column_config.TextColumn("Anions"),
            "reconstruction_error": st.column_config.NumberColumn("Score", format="%.2f"),
            "split": st.column_config.TextColumn("Split"),
            **{
                f"{projection}_faithfulness": st.column_config.NumberColumn(
                    f"True neighbors kept, {title}", format="percent", help=glossary.help_on("faithfulness")
                )
                for projection, title in PROJECTIONS.items()
            },
            **{
                f"{projection}_stability": st.column_config.NumberColumn(
                    f"Kept with other seeds, {title}", format="percent", help=glossary.help_on("stability")
                )
                for projection, title in PROJECTIONS.items()
            },
        },
        alt=f"Table of {len(table)} {'materials' if column == 'id' else 'phase fields'}",
    )


# Output


def chart(figure: Any, key: str, alt: str) -> None:
    """Show a figure that is looked at only."""
    st.plotly_chart(plain_text.figure(figure), key=key, config={"displayModeBar": False}, alt=alt)


def download(
    table: "pd.DataFrame",
    file_name: str,
    label: str = "Save as CSV",
    *,
    models: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Offer a table as a CSV file, in full precision and with the columns' own names.

    Args:
        table: What is saved.
        file_name: Of the file.
        label: Of the button.
        models: Checkpoints that made it; with their versions and the settings they stand in every row.
        settings: What was chosen to make it.
    """

    def text() -> str:
        from matgen_core.jobs.files.csv_cells import csv_text
        from matgen_core.tasks.origin import with_origin

        return csv_text(with_origin(table, models, settings or {}) if models or settings else table)

    st.download_button(label, text, file_name, "text/csv", on_click="ignore", icon=":material/download:")


def download_text(text: str, file_name: str, label: str) -> None:
    """Offer a text as a file."""
    st.download_button(label, text, file_name, "application/json", on_click="ignore", icon=":material/download:")


def values(material: "pd.Series", shown: Sequence[Column]) -> None:
    """List what is known of one material, with units; no symbol of a space group is torn apart."""
    import pandas as pd

    lines = [
        f"{plain(column.label)} **{_written(value, column)}** {column.unit}".strip()
        for column in shown
        if not pd.isna(value := material[column.name]) and value != ""
    ]
    st.markdown(" · ".join(lines))


def _written(value: Any, column: Column) -> str:
    return plain(value).replace("\\-", "\u2011").replace(" ", "\u00a0") if column.is_category else f"{value:.4g}"


def same_in_python(code: str) -> None:
    """Show the Python that does what the page shows."""
    with st.expander("The same in Python", icon=":material/code:"):
        st.code(code.strip(), language="python")


def known_or_parsed(text: str, names: Collection[str]) -> str:
    """Return a field's own name, in alphabetical order, whether it is known or not.

    Raises:
        ValueError: If the text is no phase field.
    """
    return text if text in names else PhaseField.parse(text).write()


def about_model(name: str) -> None:
    """Say what a model is, what it saw, and its headline figure beside the paper's."""
    summary, model = checkpoints.summary(name), load(name)
    headline = summary["headline"]
    data_sets = ", ".join(model.provenance.get("datasets", {})) or "data that its card names"
    n_known = f" ({len(model.known):,} formulas)" if model.known is not None else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{plain(summary['title'])}**"
            f" :small[{plain(summary['system'])}, learned from {plain(data_sets)}{n_known}.]  \n"
            f"**{plain(headline['ours'])}** :small[{plain(headline['figure'])}]"
            f" :small[:gray[paper: {plain(headline['paper'])}]]",
            width="stretch",
        )
        if st.button("Card", icon=":material/verified:", help="All that was measured of this model"):
            st.switch_page("pages/trust.py", query_params={"checkpoint": name})


# Parts of Home and Trust


def reconstruction_metrics(metrics: dict[str, Any]) -> None:
    """Show how well a model reconstructs what it was trained on, and whether it collapsed."""
    reconstruction = metrics.get("reconstruction", {})
    if "explained_variance" not in reconstruction:
        return
    with st.container(horizontal=True):
        help_on = glossary.help_on
        variance = f"{reconstruction['explained_variance']:.0%}"
        st.metric("explained variance", variance, help=help_on("explained_variance"))
        st.metric(
            "decoder spread",
            f"{reconstruction['decoder_spread']:.2f}",
            help=help_on("decoder_spread"),
        )
        active = plain(reconstruction["active_dimensions"])
        st.metric("active dimensions", active, help=help_on("active_dimensions"))


def provenance(name: str) -> "pd.DataFrame":
    """Return what made a checkpoint: one row a fact."""
    import pandas as pd

    facts = dict(load(name).provenance)
    datasets = facts.pop("datasets", {})
    facts = {key: value for key, value in facts.items() if not isinstance(value, dict)}  # the card tells the others
    rows = [*facts.items(), *((f"data: {key}", f"SHA-256 {value}") for key, value in datasets.items())]
    return pd.DataFrame([(key, str(value)) for key, value in rows], columns=["what", "value"])


@st.cache_data(max_entries=1, ttl=300, show_spinner="Looking at the data folder …")
def data_sets() -> "pd.DataFrame":
    """Return what is known of each data set and whether it is installed."""
    return data.overview()


@st.cache_data(max_entries=1, show_spinner=False)
def versions() -> "pd.DataFrame":
    """Return the versions of what the figures depend on."""
    import pandas as pd

    packages = ("matgen-explorer", "torch", "pymatgen", "numpy", "pandas", "plotly", "streamlit")
    return pd.DataFrame([(package, version(package)) for package in packages], columns=["package", "version"])


def health_line(n_good: int, n_broken: int) -> None:
    """Say in one line which checkpoints and data are there."""
    installed = sum(data.path_of(name).is_file() for name in data.DATASETS)
    broken = f", {n_broken} cannot be used" if n_broken else ""
    st.caption(
        f"{n_good} checkpoints ready{broken} · {installed} of {len(data.DATASETS)} data sets installed"
        " (needed for training only) · works without network: nothing here is fetched from outside this machine"
    )
