"""The index of a model: one row a known material with its latent point; what its columns are called and mean.

A page asks here instead of knowing what an index holds, so phase fields, formulas and crystals share one page.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from pymatgen.symmetry.groups import sg_symbol_from_int_number

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.space import Z
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.levels import COMPOSITION, PHASE_FIELD
from matgen_core.materials.properties import PROPERTIES, Column
from matgen_core.materials.systems import symbols_of

_LABELS = {
    "anions": "Anions",
    "split": "Split",
    "family": "Family",
    "space_group": "Space group",
    "reconstruction": "Reconstruction",
    "reconstruction_error": "Reconstruction error",
    "n_elements": "Number of elements",
    "charge_neutral": "Neutrality",
    "electronegativity_balanced": "Charge balance",
}
_NAMES = {"id", "key", "name", "formula", "phase_field", "chemical_system"}  # these say which material it is
_MAP = ("_x", "_y", "_faithfulness", "_stability")
# What a verdict, yes or no, is called; one that is missing is undecided.
_VERDICTS = {"charge_neutral": ("neutral", "charged"), "electronegativity_balanced": ("balanced", "unbalanced")}
_COMES_BACK = {0.0: "comes back", 1.0: "does not come back"}

TRAIN, VAL, TEST, HELD_OUT = "train", "val", "test", "held_out"
GENERATED = "generated"  # what a model has drawn itself
# The splits of an index, in order, and the word for each that is shown; `known_materials` holds the words.
SPLITS = {TRAIN: "train", VAL: "val", TEST: "test", HELD_OUT: "held out", GENERATED: "generated"}
SEED_ROW = "seed_row"  # column of an index: which sample of the bank a row is, -1 for a known material


def index_columns(table: pd.DataFrame, z: Z) -> pd.DataFrame:
    """Add latent points to a table of materials as the column `z` of an index, in float16."""
    return table.assign(z=list(z.astype(np.float16)))


def known_materials(checkpoint: Checkpoint) -> pd.DataFrame:
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
        groups = [PhaseField.read(field).anion_group for field in fields]
        return table.assign(key=fields, name=fields, anions=groups)
    table = table.assign(key=table["id"].astype(str), name=table["formula"])
    if "space_group_number" in table:
        table["space_group"] = table.pop("space_group_number").map(_space_group)
    if "reconstruction_error" in table and set(table["reconstruction_error"]) <= set(_COMES_BACK):
        table["reconstruction"] = table.pop("reconstruction_error").map(_COMES_BACK)
    if "split" in table:
        table["split"] = table["split"].replace(SPLITS)
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


def known_columns(table: pd.DataFrame, checkpoint: Checkpoint) -> list[Column]:
    """List what is known of each material: numbers with their units, and classes.

    Args:
        table: As `known_materials` gives it.
        checkpoint: The model, which knows what its score means.
    """
    found = []
    for name in table.columns:
        if name in _NAMES or name.endswith(_MAP):
            continue
        column = Column(name, _LABELS.get(name, name.replace("_", " ").capitalize()))
        if name in PROPERTIES:
            column = PROPERTIES[name].column
        elif name == "reconstruction_error" and checkpoint.level is PHASE_FIELD:
            column = Column(name, "Score", score_meaning(checkpoint).unit)
        elif name == "reconstruction_error" and checkpoint.level is COMPOSITION:
            column = replace(column, unit="atoms")
        numeric = pd.api.types.is_numeric_dtype(table[name]) and not pd.api.types.is_bool_dtype(table[name])
        found.append(replace(column, is_category=not numeric))
    return found


def faithfulness_column(projection: str) -> Column:
    """Return the column that grades a projection point by point."""
    return Column(f"{projection}_faithfulness", "True neighbors kept", "share")


def stability_column(projection: str) -> Column:
    """Return the column that says how much of a neighborhood on a projection stays with other seeds."""
    return Column(f"{projection}_stability", "Map neighbors kept with other seeds", "share")


def systems_of(table: pd.DataFrame) -> pd.Series:
    """Return the chemical system of each material."""
    return table["chemical_system"] if "chemical_system" in table else table["name"]


def elements_of(table: pd.DataFrame) -> list[str]:
    """Return the elements of the materials, the commonest first."""
    return list(systems_of(table).map(symbols_of).explode().value_counts().index)


@dataclass(frozen=True)
class ScoreMeaning:
    """What the score of a model is, in the words and the unit that stand beside it."""

    text: str
    unit: str
    parts: str  # what the contributions of the elements add up to


def score_meaning(checkpoint: Checkpoint) -> ScoreMeaning:
    """Return what the score of a checkpoint means.

    Raises:
        ValueError: If nothing is known of its model's score.
    """
    if checkpoint.model_name not in _MEANINGS:
        raise ValueError(f"nothing is said of the score of {checkpoint.model_name}; say it in {__name__}")
    return _MEANINGS[checkpoint.model_name]


_MEANINGS = {
    "phase_field_norm": ScoreMeaning("distance from the average element", "no unit", "squared score"),
    "phase_field_vae": ScoreMeaning("error of restoring each element from the others", "nats", "score"),
}
