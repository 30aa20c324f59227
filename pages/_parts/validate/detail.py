"""One judged crystal: before and after, the way it relaxed, the hull of its elements, every check with its reason."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from matgen_core.checks.physics import NEW_CHEMISTRY
from matgen_core.data import StructureFile
from matgen_core.materials.formulas import subscripted
from matgen_core.tasks.validation import columns, diagrams, structure_of
from matgen_core.tasks.validation.inputs import Candidate
from matgen_core.views import charts
from pages._parts.components.crystal_viewer import Film, crystal_viewer
from pages._parts.crystals.cards import answer
from pages._parts.shared import bench_crystals, plain_text, verdict_words, widgets
from pages._parts.shared.plain_text import plain


def show(candidate: Candidate, row: Mapping[str, Any], rest: Mapping[str, Any], name: str) -> None:
    """Show one crystal.

    Args:
        candidate: As it was given.
        row: Of the table.
        rest: What is kept beside it.
        name: Of the work and the place, for what is kept of its figures.
    """
    formula = subscripted(row["formula"]) if row["formula"] else "no crystal"
    st.subheader(f"{plain(formula)} :small[:gray[{plain(candidate.name)}]]")
    if row["problem"]:
        plain_text.warning(f"Not judged: {row['problem']}")
    if candidate.note:
        st.caption(f":material/info: {plain(candidate.note)}")
    hull_sentence(row)
    if candidate.structure is not None:
        with bench_crystals.told():
            before_and_after(candidate, rest, name)
    frames = diagrams.film(rest)
    left, right = st.columns(2, gap="small")
    with left:
        energy(frames)
    with right:
        hull(row, rest)
    lines = []
    for check in columns.checks(row.keys()):
        reason = row.get(columns.reason_column(check)) or columns.column(check).meaning
        lines.append(verdict_words.line(columns.column(check).title, answer(row[check]), str(reason)))
    with st.expander("Every check, with its reason", icon=":material/checklist:", expanded=True):
        st.markdown("  \n".join(lines))
    to_bench(candidate, rest)


def hull_sentence(row: Mapping[str, Any]) -> None:
    """Say how far it lies from the hull, and how sure that is."""
    reason = str(row["stability_reason"] or "")
    near, stable = row["share_near_stable"], row["share_stable"]
    odds = ""
    if answer(near) is not None:
        odds = (
            f"  \nOf known crystals with such a prediction **{near:.0%}** are truly within 0.1 eV/atom of the hull,"
            f" **{stable:.0%}** on it. :small[New chemistry is harder: {plain(NEW_CHEMISTRY)}.]"
        )
    st.markdown(f"**{plain(reason[:1].upper() + reason[1:])}**{odds}")


def before_and_after(candidate: Candidate, rest: Mapping[str, Any], name: str) -> None:
    """Show the crystal as given beside what it relaxed to, with the way there as a film."""
    before = bench_crystals.scene(f"{name} before", candidate.structure, True)
    if not rest.get("relaxed"):
        crystal_viewer([before], key="validate_viewer", captions=["as it was given"], height=330)
        return
    frames, film = diagrams.film(rest), None
    if len(frames) < 2:
        after = bench_crystals.scene(f"{name} after", structure_of(rest["relaxed"]), True)
    else:
        scenes = bench_crystals.film(f"{name} film", [structure for _, _, structure in frames])
        told = [
            (f"relaxed, step {step}", f"step {step}, {value:.3f} eV/atom".replace("-", "\u2212"))
            for step, value, _ in frames
        ]
        film = Film(1, [(scene, *words) for scene, words in zip(scenes, told, strict=True)], "Step of the relaxation")
        after = scenes[-1]
    crystal_viewer(
        [before, after], key="validate_viewer", captions=["as it was given", "relaxed"], height=370, film=film
    )


def energy(frames: list[tuple[int, float, Any]]) -> None:
    """Draw the energy along the way."""
    st.markdown("**Energy as it relaxed**")
    if len(frames) < 2:
        st.caption("It was at rest from the beginning." if frames else "It was not relaxed.")
        return
    widgets.chart(
        charts.relaxation([step for step, _, _ in frames], [value for _, value, _ in frames]),
        "validate_energy",
        "Energy per atom along the relaxation",
    )


def hull(row: Mapping[str, Any], rest: Mapping[str, Any]) -> None:
    """Draw the hull of its elements with the crystal on it, or list what it is held against."""
    competing = diagrams.competing(rest)
    if row["energy_above_hull"] is None or answer(row["energy_above_hull"]) is None:
        st.markdown("**Known phases of its elements**")
        st.caption("It was not held against the hull.")
        return
    st.markdown("**Among the known phases of its elements**")
    try:
        phases = diagrams.phases_of(str(row["formula"]))
    except ValueError as error:
        more = "More than three elements: no diagram." if "two or three" in str(error) and len(competing) else ""
        st.caption(f"{more or plain(str(error))} What it is held against:")
        st.dataframe(
            competing.assign(phase=list(map(subscripted, competing["phase"])), share=100 * competing["share"]),
            hide_index=True,
            height="content",
            column_config={
                "phase": "Competing phase",
                "share": st.column_config.NumberColumn("Share of the atoms", format="%.1f %%"),
            },
            alt="Competing phases",
        )
        return
    widgets.chart(
        charts.hull(
            phases,
            str(row["formula"]),
            diagrams.place_of(str(row["formula"]), phases),
            float(row["formation_energy_per_atom"]),
            float(row["energy_above_hull"]),
            set(competing["phase"]),
        ),
        "validate_hull",
        f"Known phases of {'-'.join(phases.elements)}, the hull of the stable ones, and this crystal",
    )


def to_bench(candidate: Candidate, rest: Mapping[str, Any]) -> None:
    """Offer to lay both on the structure bench."""
    if candidate.structure is None:
        return
    given = StructureFile(f"{candidate.name}, given", candidate.name, candidate.structure)
    files = [given]
    if rest.get("relaxed"):
        files.append(replace(given, name=f"{candidate.name}, relaxed", structure=structure_of(rest["relaxed"])))
    bench_crystals.open_on_bench([], "validate_bench", files)
