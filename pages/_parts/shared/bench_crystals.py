"""What pages with a person's own structures share: where a crystal comes from, its scene, its figures.

Everything that depends on an upload is cached for the session alone and ends with it; nothing is written to disk. What
comes from a file is read and computed in a process apart, within limits; what a model knows, in this one.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core import data
from matgen_core.checkpoint import CheckpointError
from matgen_core.jobs.bounded import BoundedError, BusyError
from matgen_core.materials import diffraction, report
from matgen_core.materials.levels import CRYSTAL
from matgen_core.tasks import prediction
from matgen_core.tasks.origin import checkpoint_version
from matgen_core.tasks.remarks import remarks
from matgen_core.views.crystals import bench, uploaded
from matgen_core.views.crystals.bench import Entry
from pages._parts.shared import latent_maps, plain_text, widgets
from pages._parts.shared.folder_caches import by_folder

# Crystals that wait on Validate, where they are from, and what made them.
GIVEN, GIVEN_FROM, GIVEN_SOURCE = "validate_given", "validate_from", "validate_made_by"
VALIDATION, OWN = "validation", "My crystals"  # the work that is open there, and the side that crystals are brought to
ANGLES = {"alpha": "α", "beta": "β", "gamma": "γ"}  # noqa: RUF001 as chemists write them


@dataclass(frozen=True)
class Crystal:
    """One crystal of the bench: what it is called, where it comes from, and the structure or why there is none."""

    entry: Entry
    label: str
    source: str
    structure: Any = None
    problem: str = ""
    notes: tuple[str, ...] = ()  # what was done or guessed to read it

    @property
    def key(self) -> str:
        """What tells it apart in a cache: its place in a model, or the digest of its content."""
        return str(self.entry)

    @property
    def is_foreign(self) -> bool:
        """Whether it came from a file."""
        return self.entry.is_upload


# Uploads


def uploads() -> dict[str, data.StructureFile]:
    """Return the visitor's files by digest; they live as long as the session."""
    kept: dict[str, data.StructureFile] = st.session_state.setdefault("uploads", {})
    return kept


def keep(files: Sequence[data.StructureFile]) -> list[Entry]:
    """Keep the crystals of files for this session, and return what the bench calls them."""
    entries = []
    for file in files:
        if file.structure is not None:
            digest = bench.digest(file.name, file.structure)
            uploads()[digest] = file
            entries.append(Entry(bench.UPLOAD, digest))
    return entries


def read_uploaded(files: Sequence[Any]) -> list[data.StructureFile]:
    """Read what an uploader holds."""
    return uploaded.read_apart([data.Upload(file.name, file.getvalue()) for file in files])


def read_pattern(file: Any) -> diffraction.Measured:
    """Read the measured pattern that an uploader holds.

    Raises:
        ValueError: If it cannot be read.
    """
    try:
        measured: diffraction.Measured = uploaded.apart("pattern", file.getvalue(), file.name)
    except BoundedError as error:
        raise ValueError(f"{file.name}: {error}") from error
    return measured


# Crystals


def crystal_models() -> list[str]:
    """Return the models with a map of known crystals that can be used."""
    return [name for name in widgets.names_with("encode", CRYSTAL) if not latent_maps.map_problem(name)]


def tell_of_broken_models() -> None:
    """Show a line for each model of crystals whose map cannot be used."""
    for problem in filter(None, map(latent_maps.map_problem, widgets.names_with("encode", CRYSTAL))):
        plain_text.error(problem)


def find(entry: Entry) -> Crystal:
    """Look up what an entry names; `problem` says why there is nothing."""
    if entry.is_upload:
        file = uploads().get(entry.key)
        if file is None:
            return Crystal(entry, "an upload", "file", problem="the file of this link was uploaded in another session")
        return Crystal(entry, file.name, "your file", file.structure, notes=file.notes)
    try:
        row = latent_maps.row_of(entry.source, entry.key) if entry.source in crystal_models() else None
        if row is None:
            return Crystal(entry, entry.key, entry.source, problem=_not_here(entry))
        return _known(entry, row)
    except (ValueError, CheckpointError) as error:
        return Crystal(entry, entry.key, entry.source, problem=str(error))


def find_all(entries: Sequence[Entry]) -> list[Crystal]:
    """Look up entries; where two would be called alike, a number is put behind the later one.

    What came from a file and cannot be drawn in the time that it has is a problem, as a file that cannot be read is.
    """
    labels: list[str] = []
    found = []
    for crystal in map(find, entries):
        label, number = crystal.label, 1
        while label in labels:
            number += 1
            label = f"{crystal.label} ({number})"
        labels.append(label)
        problem = crystal.problem
        if crystal.is_foreign and not problem:
            try:
                scene(crystal.key, crystal.structure, True)
            except FigureError as error:
                problem = f"not drawn: {error}"
        found.append(replace(crystal, label=label, problem=problem))
    return found


def _not_here(entry: Entry) -> str:
    models = crystal_models()
    if entry.source not in models:
        return f"no model of crystals is called {entry.source}; here are: {', '.join(models) or 'none'}"
    return f"{entry.key} is not among the crystals of {entry.source}"


def _known(entry: Entry, row: int) -> Crystal:
    formula = latent_maps.map_table(entry.source)["name"].iloc[row]
    if entry.is_original:
        label, source = f"{formula} original", f"original {entry.key}"
        return Crystal(entry, label, source, latent_maps.original(entry.source, row))
    label, source = f"{formula} decoded", f"{entry.key}, decoded by {entry.source}"
    decoded = latent_maps.decoded(entry.source, row)
    if decoded.problem is not None:
        return Crystal(entry, label, source, problem=f"its latent point does not decode: {decoded.problem}")
    return Crystal(entry, label, source, decoded.material)


def titles(entries: Sequence[Entry]) -> dict[str, str]:
    """Name entries in a list to choose from, without decoding them."""
    known = {name: latent_maps.labels(name) for name in crystal_models()}
    found = {}
    for entry in entries:
        if entry.is_upload:
            file = uploads().get(entry.key)
            found[str(entry)] = file.name if file else "an upload of another session"
        else:
            label = known.get(entry.source, {}).get(entry.key, f"unknown · {entry.key}")
            found[str(entry)] = f"{label} · {'original' if entry.is_original else entry.source}"
    return found


def has_original(entry: Entry) -> bool:
    """Whether the known crystal behind a decoded one can be shown beside it."""
    if entry.is_upload or entry.is_original:
        return False
    return not find(Entry(entry.source, entry.key, True)).problem


def open_on_bench(entries: Sequence[Entry], key: str, files: Sequence[data.StructureFile] = ()) -> None:
    """Offer to lay files and crystals on the structure bench, each original before its reconstruction if it is here."""
    if st.button("Open on the bench", key=key, icon=":material/deployed_code:"):
        shown = keep(files)
        for entry in entries:
            shown += [Entry(entry.source, entry.key, True), entry] if has_original(entry) else [entry]
        st.switch_page("pages/structure_bench.py", query_params={"bench": bench.write_entries(shown)})


def send_to_validate(
    files: Sequence[data.StructureFile],
    origin: str,
    key: str,
    made_by: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Offer to hand crystals over to Validate.

    Args:
        files: The crystals; those that could not be read have their rows there, too.
        origin: Where they are from, in a few words.
        key: Of the button.
        made_by: The generator and its settings, for the files that are saved there.
    """
    n = sum(file.structure is not None for file in files)
    words = "Validate it" if n == 1 else f"Validate all {n:,}"
    about = "Relax, hold against the known phases, tell what is new: on the page Validate"
    if st.button(words, key=key, icon=":material/rule:", disabled=not n, help=about):
        st.session_state[GIVEN], st.session_state[GIVEN_FROM] = list(files), origin
        st.session_state[GIVEN_SOURCE] = dict(made_by)
        st.session_state[VALIDATION] = ""
        st.switch_page("pages/validate.py", query_params={"validate_source": OWN})


def radiation_title(name: str) -> str:
    """Write a radiation for people, with its wavelength."""
    line = name[2:].replace("a", "α")  # noqa: RUF001
    return f"{name[:2]} {line}, {diffraction.wavelength(name):.4f} Å"


# Figures of structures, computed once a session


class FigureError(ValueError):
    """A figure that cannot be computed, or not within the limits for what came from a file."""


@st.cache_data(max_entries=256, show_spinner="Computing …", scope="session")
def _figure(name: str, key: Any, settings: tuple[Any, ...], is_foreign: bool, _given: tuple[Any, ...]) -> Any:
    """Return a figure and "", or None and why there is none: what was ended once is not tried at every click."""
    compute = uploaded.apart if is_foreign else uploaded.here
    try:
        return compute(name, *_given, *settings), ""
    except BusyError as error:
        raise FigureError(str(error)) from error
    except ValueError as error:
        return None, str(error)


def _found(name: str, key: Any, settings: tuple[Any, ...], is_foreign: bool, *given: Any) -> Any:
    value, problem = _figure(name, key, settings, is_foreign, given)
    if problem:
        raise FigureError(problem)
    return value


@contextmanager
def told() -> Iterator[None]:
    """Show why a figure cannot be computed in place of what would be shown."""
    try:
        yield
    except FigureError as error:
        plain_text.error(f"Not computed: {error}")


def scene(
    key: str,
    structure: Any,
    is_foreign: bool,
    cells: tuple[int, int, int] = (1, 1, 1),
    longest: float | None = None,
) -> dict[str, Any]:
    """Return what a viewer draws of a crystal: so many cells, with bonds up to so many Å if that is given.

    Raises:
        FigureError: As every figure here: if there is none, or if a file's takes more than it may.
    """
    return dict(_found("scene", key, (cells, longest), is_foreign, structure))


def film(key: str, structures: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what a viewer draws of each of the steps of a crystal that is not known."""
    return list(_found("film", key, (), True, list(structures)))


def primitive(crystal: Crystal) -> Any:
    """Return the primitive cell of a visitor's crystal that was written as a supercell, else None."""
    return _found("primitive", crystal.key, (), True, crystal.structure) if crystal.is_foreign else None


def still(crystal: Crystal, size: int) -> str:
    """Return a still picture as SVG."""
    return str(_found("still", crystal.key, (size,), crystal.is_foreign, crystal.structure))


def summary(crystals: Sequence[Crystal], symprec: float) -> pd.DataFrame:
    """Return what tells structures apart, a row each."""
    key = [(each.key, each.label) for each in crystals]
    given = {each.label: each.structure for each in crystals}
    return _table("summary", key, (symprec,), any(each.is_foreign for each in crystals), given)


def sites(crystal: Crystal, symprec: float) -> pd.DataFrame:
    """Return the sites of a structure."""
    return _table("sites", crystal.key, (symprec,), crystal.is_foreign, crystal.structure)


def symmetry(crystal: Crystal, symprec: float) -> report.Symmetry:
    """Return the space group of a structure."""
    found: report.Symmetry = _found("symmetry", crystal.key, (symprec,), crystal.is_foreign, crystal.structure)
    return found


def comparison(reference: Crystal, others: Sequence[Crystal]) -> pd.DataFrame:
    """Hold structures against one, a row each."""
    key = [(each.key, each.label) for each in (reference, *others)]
    given = {each.label: each.structure for each in others}
    is_foreign = any(each.is_foreign for each in (reference, *others))
    return _table("comparison", key, (), is_foreign, reference.structure, given)


def reflections(crystal: Crystal, radiation: str, two_theta: tuple[float, float]) -> pd.DataFrame:
    """List the reflections of a structure."""
    return _table("reflections", crystal.key, (radiation, two_theta), crystal.is_foreign, crystal.structure)


def origin(crystal: Crystal) -> str:
    """Say in a line where a crystal comes from, for whoever is given a file of it."""
    if crystal.is_foreign:
        return "; ".join([crystal.label, *crystal.notes])
    return f"{crystal.source}; {checkpoint_version(crystal.entry.source)}"


def written_as(crystal: Crystal, kind: str) -> str:
    """Write a structure as a file: "cif", "poscar", "extended_xyz" or "web_page"."""
    return str(_found(kind, crystal.key, (origin(crystal),), crystal.is_foreign, crystal.structure))


def chemiscope(crystals: Sequence[Crystal]) -> str:
    """Write structures as the input of chemiscope."""
    key = [(each.key, each.label) for each in crystals]
    given = {each.label: each.structure for each in crystals}
    source = ". ".join(map(origin, crystals))
    return str(_found("chemiscope", key, (source,), any(each.is_foreign for each in crystals), given))


def _table(name: str, key: Any, settings: tuple[Any, ...], is_foreign: bool, *given: Any) -> pd.DataFrame:
    table: pd.DataFrame = _found(name, key, settings, is_foreign, *given)
    return table


@by_folder(
    st.cache_data,
    about=lambda models, *rest: models,
    max_entries=64,
    show_spinner="Predicting …",
    scope="session",
)
def properties(
    models: Sequence[str],
    keys: Sequence[str],
    _structures: Mapping[str, Any],
    _notes: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> pd.DataFrame:
    """Predict every property that some models know, with uncertainty; `_notes` say how the structures were read."""
    return prediction.property_table([widgets.read(name) for name in models], _structures, _notes)


def show_remarks(structure: Any, notes: Sequence[str], label: str = "") -> None:
    """Say what was guessed to read a crystal, and which sites of it are too near each other."""
    for line in remarks(structure, notes):
        st.caption(f":material/info: {plain_text.plain(f'{label}: {line}' if label else line)}")


def written(properties: pd.DataFrame) -> pd.DataFrame:
    """Write the properties of one structure for reading: property, predicted with its deviation, unit, mae."""
    table = prediction.side_by_side(properties)
    return table.rename(columns={table.columns[-1]: "predicted"})[["property", "predicted", "unit", "mae"]]
