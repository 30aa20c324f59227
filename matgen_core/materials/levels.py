"""The levels of description at which a model works: phase fields, compositions, crystals.

What a level is called and how its materials are named stands here alone; elsewhere a level is one of these objects.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a level is called costs no import of what reads its materials
    from pymatgen.core import Composition

    from matgen_core.materials.fields import PhaseField


@dataclass(frozen=True, eq=False)
class Level:
    """One level.

    Attributes:
        key: As `config.json` of a checkpoint and the registry of data sets hold it.
        noun: What one of its materials is called.
        plural: What several are called.
        column: The column of tables that says what a material is made of.
        id_column: The column that tells the materials of an index apart.
        parse: Reads a material from what `column` holds; ValueError where it holds something else. None for a level
            whose materials no such text describes whole.
        display: Writes what `column` holds as people write it; ValueError where it holds something else.
    """

    key: str
    noun: str
    plural: str
    column: str
    id_column: str
    parse: Callable[[str], Any] | None
    display: Callable[[str], str]


def _parse_field(text: str) -> "PhaseField":
    from matgen_core.materials.fields import PhaseField

    return PhaseField.parse(text, mixed_valence=True)


@lru_cache(maxsize=500_000)
def _field_as_chemists_write_it(text: str) -> str:
    return _parse_field(text).chemists_order()


def _parse_formula(text: str) -> "Composition":
    """The reduced formula of a text: an index holds no other."""
    from matgen_core.materials.formulas import Formulas

    return Formulas.of_text(text).reduced().compositions()[0]


LEVELS = (
    Level(
        key="phase field",
        noun="field",
        plural="fields",
        column="phase_field",
        id_column="phase_field",
        parse=_parse_field,
        display=_field_as_chemists_write_it,
    ),
    Level(
        key="composition",
        noun="formula",
        plural="formulas",
        column="formula",
        id_column="id",
        parse=_parse_formula,
        display=str,
    ),
    Level(
        key="structure",
        noun="crystal",
        plural="crystals",
        column="formula",
        id_column="id",
        parse=None,
        display=str,
    ),
)
PHASE_FIELD, COMPOSITION, CRYSTAL = LEVELS


def level_of(key: str) -> Level:
    """Return the level that a key names.

    Raises:
        ValueError: If it names none.
    """
    for level in LEVELS:
        if level.key == key:
            return level
    raise ValueError(f"{key!r} is no level; known: {', '.join(repr(level.key) for level in LEVELS)}")
