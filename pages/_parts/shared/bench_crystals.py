"""What pages with a person's own structures share: where a crystal comes from, its scene, its figures.

Everything that depends on an upload is cached for the session alone and ends with it; nothing is written to disk.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core import data
from matgen_core.checkpoint import CheckpointError
from matgen_core.materials import diffraction, report
from matgen_core.materials.levels import CRYSTAL
from matgen_core.tasks import prediction
from matgen_core.views.crystals import bench, picture
from matgen_core.views.crystals import scene as crystal_scene
from matgen_core.views.crystals.bench import Entry
from pages._parts.shared import latent_maps, widgets
from pages._parts.shared.folder_caches import by_folder

ANGLES = {"alpha": "α", "beta": "β", "gamma": "γ"}  # noqa: RUF001 as chemists write them
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&])")


def plain(text: str) -> str:
    """Return a text of the visitor's as Markdown that shows it letter by letter."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


@dataclass(frozen=True)
class Crystal:
    """One crystal of the bench: what it is called, where it comes from, and the structure or why there is none."""

    entry: Entry
    label: str
    source: str
    structure: Any = None
    problem: str = ""

    @property
    def key(self) -> str:
        """What tells it apart in a cache: its place in a model, or the digest of its content."""
        return str(self.entry)


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
    return data.read_uploads([data.Upload(file.name, file.getvalue()) for file in files])


# Crystals


def crystal_models() -> list[str]:
    """Return the models with a map of known crystals that can be used."""
    return [name for name in widgets.names_with("encode", CRYSTAL) if not latent_maps.map_problem(name)]


def tell_of_broken_models() -> None:
    """Show a line for each model of crystals whose map cannot be used."""
    for problem in filter(None, map(latent_maps.map_problem, widgets.names_with("encode", CRYSTAL))):
        st.error(problem)


def find(entry: Entry) -> Crystal:
    """Look up what an entry names; `problem` says why there is nothing."""
    if entry.is_upload:
        file = uploads().get(entry.key)
        if file is None:
            return Crystal(entry, "an upload", "file", problem="the file of this link was uploaded in another session")
        return Crystal(entry, file.name, "your file", file.structure)
    try:
        row = latent_maps.row_of(entry.source, entry.key) if entry.source in crystal_models() else None
        if row is None:
            return Crystal(entry, entry.key, entry.source, problem=_not_here(entry))
        return _known(entry, row)
    except (ValueError, CheckpointError) as error:
        return Crystal(entry, entry.key, entry.source, problem=str(error))


def find_all(entries: Sequence[Entry]) -> list[Crystal]:
    """Look up entries; where two would be called alike, a number is put behind the later one."""
    labels: list[str] = []
    found = []
    for crystal in map(find, entries):
        label, number = crystal.label, 1
        while label in labels:
            number += 1
            label = f"{crystal.label} ({number})"
        labels.append(label)
        found.append(replace(crystal, label=label))
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
    formulas = {name: dict(latent_maps.map_table(name)[["key", "name"]].to_numpy()) for name in crystal_models()}
    found = {}
    for entry in entries:
        if entry.is_upload:
            file = uploads().get(entry.key)
            found[str(entry)] = file.name if file else "an upload of another session"
        else:
            formula = formulas.get(entry.source, {}).get(entry.key, "unknown")
            found[str(entry)] = f"{formula} · {entry.key} · {'original' if entry.is_original else entry.source}"
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


def radiation_title(name: str) -> str:
    """Write a radiation for people, with its wavelength."""
    line = name[2:].replace("a", "α")  # noqa: RUF001
    return f"{name[:2]} {line}, {diffraction.wavelength(name):.4f} Å"


# Figures of structures, computed once a session


@st.cache_data(max_entries=64, show_spinner="Finding bonds …", scope="session")
def scene(key: str, _structure: Any) -> dict[str, Any]:
    """Return what a viewer draws of a crystal."""
    return crystal_scene.scene(_structure)


@st.cache_data(max_entries=64, show_spinner=False, scope="session")
def still(key: str, _structure: Any, size: int) -> str:
    """Return a still picture as SVG."""
    return picture.picture(crystal_scene.scene(_structure), size)


@st.cache_data(max_entries=64, show_spinner=False, scope="session")
def summary(keys: Sequence[str], _structures: Mapping[str, Any], symprec: float) -> pd.DataFrame:
    """Return what tells structures apart, a row each."""
    return report.summary_table(_structures, symprec)


@st.cache_data(max_entries=64, show_spinner=False, scope="session")
def sites(key: str, _structure: Any, symprec: float) -> pd.DataFrame:
    """Return the sites of a structure."""
    return report.site_table(_structure, symprec)


@st.cache_data(max_entries=64, show_spinner=False, scope="session")
def comparison(reference: str, _reference: Any, keys: Sequence[str], _others: Mapping[str, Any]) -> pd.DataFrame:
    """Hold structures against one, a row each."""
    return report.comparison_table(_reference, _others)


@st.cache_data(max_entries=64, show_spinner="Computing the pattern …", scope="session")
def reflections(key: str, _structure: Any, radiation: str, two_theta: tuple[float, float]) -> pd.DataFrame:
    """List the reflections of a structure."""
    return diffraction.reflections(_structure, radiation, two_theta)


@by_folder(
    st.cache_data,
    about=lambda models, *rest: models,
    max_entries=64,
    show_spinner="Predicting …",
    scope="session",
)
def properties(models: Sequence[str], keys: Sequence[str], _structures: Mapping[str, Any]) -> pd.DataFrame:
    """Predict every property that some models know, with uncertainty."""
    return prediction.property_table([widgets.read(name) for name in models], _structures)


def written(properties: pd.DataFrame) -> pd.DataFrame:
    """Write the properties of one structure for reading: property, predicted with its deviation, unit, mae."""
    table = prediction.side_by_side(properties)
    return table.rename(columns={table.columns[-1]: "predicted"})[["property", "predicted", "unit", "mae"]]
