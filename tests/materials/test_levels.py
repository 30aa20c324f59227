"""Levels: one object for what a model works on, named in one place."""

import ast
from pathlib import Path

import pytest
from pymatgen.core import Composition

from matgen_core import checkpoint
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.levels import COMPOSITION, CRYSTAL, LEVELS, PHASE_FIELD, level_of

ROOT = Path(__file__).parents[2]


def test_a_key_finds_its_level_and_others_are_refused() -> None:
    assert [level_of(level.key) for level in LEVELS] == [PHASE_FIELD, COMPOSITION, CRYSTAL]
    with pytest.raises(ValueError, match="'crystal' is no level; known: 'phase field', 'composition', 'structure'"):
        level_of("crystal")


def test_the_index_of_every_map_has_the_columns_of_its_level() -> None:
    mapped = [checkpoint.load(name) for name in checkpoint.names() if checkpoint.has_map(name)]
    assert {each.level for each in mapped} == set(LEVELS)
    for each in mapped:
        assert each.index is not None
        assert {each.level.column, each.level.id_column} <= set(each.index), each.name


def test_names_of_materials_are_read_and_shown() -> None:
    assert PHASE_FIELD.parse is not None
    assert COMPOSITION.parse is not None
    assert PHASE_FIELD.parse("As-As-Cd-Cl") == PhaseField(["As", "As", "Cd", "Cl"])
    assert PHASE_FIELD.display("Cl-Li-S-Sn") == "Li-Sn-S-Cl"
    assert COMPOSITION.parse("Fe4O6") == Composition("Fe2O3")
    for level in (PHASE_FIELD, COMPOSITION):
        with pytest.raises(ValueError, match="Xx"):
            level.parse("Xx")
    with pytest.raises(ValueError, match="is no element"):
        PHASE_FIELD.display("Li-Xx")


def test_no_other_file_compares_with_the_key_of_a_level() -> None:
    keys = {level.key for level in LEVELS}
    for path in [*(ROOT / "matgen_core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]:
        if path.name == "levels.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            told = []
            if isinstance(node, ast.Compare):
                told = [node.left, *node.comparators]
            elif isinstance(node, ast.keyword) and node.arg == "level":
                told = [node.value]
            elif isinstance(node, ast.Dict):
                told = [v for k, v in zip(node.keys, node.values, strict=True) if _text(k) == "level"]
            written = keys & {_text(each) for each in told}
            assert not written, f"{path.name}, line {node.lineno}: {written}; take the level from materials/levels.py"


def _text(node: ast.AST | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None
