"""The index of a model: one row a known material with its latent point; what its columns are called and mean.

A page asks here instead of knowing what an index holds, so phase fields, formulas and crystals share one page.
"""

from dataclasses import replace

import pandas as pd
from pymatgen.symmetry.groups import sg_symbol_from_int_number

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.errors import error_kind
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.properties import PROPERTIES, Column
from matgen_core.materials.query.structures import Structures
from matgen_core.materials.systems import symbols_of
from matgen_core.networks.arrays.splits import HELD_OUT, TEST, TRAIN, VAL

_LABELS = {
    "anions": "Anions",
    "split": "Split",
    "family": "Family",
    "origin": "Origin",
    "space_group": "Space group",
    "reconstruction": "Reconstruction",
    "reconstruction_error": "Reconstruction error",
    "n_elements": "Number of elements",
    "charge_neutral": "Neutrality",
    "electronegativity_balanced": "Charge balance",
}
CRYSTAL_SYSTEMS = {"triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"}
_NAMES = {"id", "key", "name", "formula", "phase_field", "chemical_system"}  # these say which material it is
_MAP = ("_x", "_y", "_faithfulness", "_stability")
# What a verdict, yes or no, is called; one that is missing is undecided.
_VERDICTS = {"charge_neutral": ("neutral", "charged"), "electronegativity_balanced": ("balanced", "unbalanced")}

GENERATED = "generated"  # what a model has drawn itself
# The splits of an index, in order, and the word for each that is shown; `known_materials` holds the words.
SPLITS = {TRAIN: "train", VAL: "val", TEST: "test", HELD_OUT: "held out", GENERATED: "generated"}
SEED_ROW = "seed_row"  # column of an index: which sample of the bank a row is, -1 for a known material


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
    if "error_kind" in table:
        table = _with_error_in_words(table)
    if "phase_field" in table:
        fields = table["phase_field"]
        groups = [PhaseField.read(field).anion_group for field in fields]
        return table.assign(key=fields, name=fields, anions=groups)
    table = table.assign(key=table["id"].astype(str), name=table["formula"])
    if "space_group_number" in table:
        table["space_group"] = table.pop("space_group_number").map(_space_group)
    if "split" in table:
        table["split"] = table["split"].replace(SPLITS)
    for name, words in _VERDICTS.items():
        if name in table:
            table[name] = ["undecided" if pd.isna(passed) else words[not passed] for passed in table[name]]
    return table


def _with_error_in_words(table: pd.DataFrame) -> pd.DataFrame:
    kind, table = error_kind(table), table.drop(columns="error_kind")
    if kind.in_words is None:
        return table.rename(columns={"error": "reconstruction_error"})
    table["reconstruction"] = table.pop("error").map(dict(enumerate(kind.in_words)))
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


def structures_of(table: pd.DataFrame) -> Structures:
    """Return what a search line can ask of the structures of known materials.

    Args:
        table: As `known_materials` gives it.
    """
    families = tuple(table["family"].fillna("")) if "family" in table else ()
    if "space_group" not in table:
        return Structures(families)
    numbers = table["space_group"].str.extract(r"\((\d+)\)$", expand=False)
    return Structures(families, tuple(None if pd.isna(number) else int(number) for number in numbers))


def known_columns(table: pd.DataFrame, checkpoint: Checkpoint) -> list[Column]:
    """List what is known of each material: numbers with their units, and classes.

    Args:
        table: As `known_materials` gives it.
        checkpoint: The model, whose index knows what its errors are.
    """
    found = []
    for name in table.columns:
        if name in _NAMES or name.endswith(_MAP):
            continue
        column = Column(name, _LABELS.get(name, name.replace("_", " ").capitalize()))
        if name == "family" and set(table[name].dropna()) <= CRYSTAL_SYSTEMS:
            column = Column(name, "Crystal system")
        if name in PROPERTIES:
            column = PROPERTIES[name].column
        elif name == "reconstruction_error" and checkpoint.index is not None:
            kind = error_kind(checkpoint.index)
            column = Column(name, kind.label, kind.unit)
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
