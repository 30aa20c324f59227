"""The columns of a model's index as a map shows them: what each is called, its unit, its colors, its hover text.

A page asks here instead of knowing what an index holds, so phase fields and crystals share one page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pymatgen.symmetry.groups import sg_symbol_from_int_number

from matgen_core import clusters, map_scene, ranking
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent import GENERATED, SEED_ROW
from matgen_core.map_scene import Coloring, HoverText
from matgen_core.materials import query
from matgen_core.materials.fields import anion_group, chemists_order
from matgen_core.materials.formulas import Formulas
from matgen_core.prediction import LABELS, UNITS

_LABELS = {
    "anions": ("Anions", ""),
    "split": ("Split", ""),
    "family": ("Family", ""),
    "space_group": ("Space group", ""),
    "reconstruction": ("Reconstruction", ""),
    "reconstruction_error": ("Reconstruction error", ""),
    "edge": ("Cubic cell edge", "Å"),
    "n_elements": ("Number of elements", ""),
    "charge_neutral": ("Neutrality", ""),
    "electronegativity_balanced": ("Charge balance", ""),
    **{name: (label[0].upper() + label[1:], UNITS[name].replace("^3", "³")) for name, label in LABELS.items()},
}
_NAMES = {"id", "key", "name", "formula", "phase_field", "chemical_system"}  # these say which material it is
_MAP = ("_x", "_y", "_faithfulness", "_stability")
# What a verdict, yes or no, is called; one that is missing is undecided.
_VERDICTS = {"charge_neutral": ("neutral", "charged"), "electronegativity_balanced": ("balanced", "unbalanced")}
_SPLIT_ORDER = ("train", "val", "test", "held out", GENERATED)
_COMES_BACK = {0.0: "comes back", 1.0: "does not come back"}


@dataclass(frozen=True)
class Column:
    """A column that tells something of each material."""

    name: str
    label: str
    unit: str = ""
    is_category: bool = False

    @property
    def title(self) -> str:
        """Label with unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


def materials(checkpoint: Checkpoint) -> pd.DataFrame:
    """Lay out the known materials of a model for people, in the order of its index.

    Returns:
        The index without latent points, with `key` (what tells rows apart: the phase field or the id) and `name`
        (phase field or formula); phase fields get their `anions`. A space group is named beside its number, verdicts
        are words, and an error that only says whether a material comes back becomes words in `reconstruction`.

    Raises:
        ValueError: If the model has no index, or one that does not name its materials.
    """
    if checkpoint.index is None or not {"phase_field", "formula"} & set(checkpoint.index):
        raise ValueError(f"{checkpoint.name} holds no table of known materials, so there is no map of it")
    table = checkpoint.index.drop(columns=["z", SEED_ROW], errors="ignore")
    if not any(name.endswith("_x") for name in table):
        raise ValueError(f"{checkpoint.name} holds no projection, so there is no map of it")
    if "phase_field" in table:
        fields = table["phase_field"]
        return table.assign(key=fields, name=fields, anions=fields.map(anion_group))
    table = table.assign(key=table["id"].astype(str), name=table["formula"])
    if "space_group_number" in table:
        table["space_group"] = table.pop("space_group_number").map(_space_group)
    if "reconstruction_error" in table and set(table["reconstruction_error"]) <= set(_COMES_BACK):
        table["reconstruction"] = table.pop("reconstruction_error").map(_COMES_BACK)
    if "split" in table:
        table["split"] = table["split"].replace("held_out", "held out")
    for name, words in _VERDICTS.items():
        if name in table:
            table[name] = ["undecided" if pd.isna(passed) else words[not passed] for passed in table[name]]
    return table


def find_formula(table: pd.DataFrame, text: str) -> str:
    """Return the key of the first material with the reduced formula that a text has, "" where there is none."""
    try:
        asked = Formulas.of_text(text)
    except ValueError:
        return ""
    same = Formulas.of_texts(table["name"])[0].reduced().keys() == asked.reduced().keys()[0]
    return str(table["key"].iloc[int(same.argmax())]) if same.any() else ""


def _space_group(number: float) -> str:
    if pd.isna(number):
        return ""
    return f"{sg_symbol_from_int_number(int(number))} ({int(number)})"


def columns(table: pd.DataFrame, checkpoint: Checkpoint) -> list[Column]:
    """List what is known of each material: numbers with their units, and classes.

    Args:
        table: As `materials` gives it.
        checkpoint: The model, which knows what its score means.
    """
    found = []
    for name in table.columns:
        if name in _NAMES or name.endswith(_MAP):
            continue
        label, unit = _LABELS.get(name, (name.replace("_", " ").capitalize(), ""))
        if name == "reconstruction_error" and "phase_field" in table:
            label, unit = "Score", ranking.score_meaning(checkpoint).unit
        elif name == "reconstruction_error" and checkpoint.provenance.get("level") == "composition":
            unit = "atoms"
        numeric = pd.api.types.is_numeric_dtype(table[name]) and not pd.api.types.is_bool_dtype(table[name])
        found.append(Column(name, label, unit, is_category=not numeric))
    return found


def faithfulness(projection: str) -> Column:
    """Return the column that grades a projection point by point."""
    return Column(f"{projection}_faithfulness", "True neighbors kept", "share")


def stability(projection: str) -> Column:
    """Return the column that says how much of a neighborhood on a projection stays with other seeds."""
    return Column(f"{projection}_stability", "Map neighbors kept with other seeds", "share")


def systems(table: pd.DataFrame) -> pd.Series:
    """Return the chemical system of each material."""
    return table["chemical_system"] if "chemical_system" in table else table["name"]


def coloring(table: pd.DataFrame, column: Column) -> Coloring:
    """Color points by a column.

    Raises:
        KeyError: If the table has no such column.
    """
    if column.is_category:
        order = _SPLIT_ORDER if column.name == "split" else ()
        present = set(table[column.name])
        return map_scene.color_by_category(
            table[column.name].to_numpy(), label=column.label, order=[name for name in order if name in present]
        )
    return map_scene.color_by_value(table[column.name], label=column.label, unit=column.unit)


def color_by_element(table: pd.DataFrame, element: str) -> Coloring:
    """Color the materials that hold an element apart from all others."""
    with_it, without = f"with {element}", f"without {element}"
    kinds = [with_it if holds else without for holds in query.find(f"has:{element}", table["name"])]
    return map_scene.color_by_category(kinds, label=f"Holds {element}", order=(with_it, without))


def color_by_cluster(table: pd.DataFrame, labels: NDArray[np.int64]) -> Coloring:
    """Color materials by their cluster in the latent space; those in none are gray and named in the legend."""
    named = pd.Series(clusters.names(labels, systems(table)))
    in_none = named == clusters.NOISE_NAME
    order = named[~in_none].groupby(labels[~in_none]).first()
    colored = map_scene.color_by_category(named.mask(in_none, "").to_numpy(), label="Cluster", order=list(order))
    gray = map_scene.LegendEntry(clusters.NOISE_NAME, map_scene.MISSING, int(in_none.sum()))
    return replace(colored, entries=(*colored.entries, *([gray] if gray.count else [])), n_missing=0)


def color_by_grade(values: ArrayLike, column: Column) -> Coloring:
    """Color points by a grade of the map, from 0 to 1 on every map so that maps can be compared."""
    return map_scene.color_by_value(values, label=column.label, unit=column.unit, limits=(0.0, 1.0))


def hover(table: pd.DataFrame, shown: Sequence[Column]) -> HoverText:
    """Pack what is shown where the pointer rests: the material, then its values."""
    fields: dict[str, Sequence[object]] = {}
    if "phase_field" in table:
        fields["Phase field"] = [chemists_order(name) for name in table["name"]]
    else:
        fields |= {"Formula": list(table["name"]), "Material": list(table["key"])}
    fields |= {column.label: table[column.name].to_list() for column in shown}
    return map_scene.hover_text(fields, {column.label: column.unit for column in shown})


def elements(table: pd.DataFrame) -> list[str]:
    """Return the elements of the materials, the commonest first."""
    return list(systems(table).str.split("-").explode().value_counts().index)
