"""Crystals made of known ones: like elements in the place of like, whatever seed; nothing else changes."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Element, Lattice, Structure

from matgen_core import data
from matgen_core.data.rows import structure_row
from matgen_core.tasks.exchange import GENERATORS, Exchanged, Skeletons, distorted, ion_exchange, random_elements
from tests.support.crystals import RUTILE, of_group, rock_salt

FLUORITE = of_group("Fm-3m", Lattice.cubic(5.46), ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]])
SALTS = [
    rock_salt(cation, anion, edge)
    for cation, anion, edge in (
        ("Na", "Cl", 5.64), ("K", "Cl", 6.29), ("K", "Br", 6.6), ("Na", "Br", 5.97), ("Rb", "I", 7.34),
        ("Mg", "O", 4.21), ("Ca", "O", 4.81), ("Ca", "S", 5.69), ("Sr", "O", 5.16), ("Ba", "S", 6.39),
    )
]  # fmt: skip
LIKE = Structure(
    Lattice.tetragonal(4.2, 5.9), ["Na", "K", "Cl", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0, 0, 0.5]]
)  # Na and K could take each other's place, and then they would be one element
CRYSTALS = [*SALTS, RUTILE, FLUORITE, LIKE]
Maker = Callable[[Skeletons, int, int], list[Exchanged]]


@pytest.fixture(scope="module")
def skeletons() -> Skeletons:
    return Skeletons(CRYSTALS, [f"mp-{n}" for n in range(len(CRYSTALS))])


def parent(made: Exchanged) -> Structure:
    return CRYSTALS[int(made.parent.removeprefix("mp-"))]


def test_only_like_elements_change_places(skeletons: Skeletons) -> None:
    made = ion_exchange(skeletons, 300, 1)
    assert all(each.swaps for each in made)
    pairs = {pair for each in made for pair in each.swaps}
    assert {("Na", "K"), ("Cl", "Br"), ("Mg", "Ca")} & pairs, "these are what a chemist would take"
    for old, new in map(lambda pair: (Element(pair[0]), Element(pair[1])), pairs):
        near = abs(old.atomic_radius - new.atomic_radius)
        alike = old.group == new.group and near <= 0.25 * min(old.atomic_radius, new.atomic_radius)
        metals = old.is_metal and new.is_metal and near <= 0.12
        shared = set(old.common_oxidation_states) & set(new.common_oxidation_states)
        assert alike or (metals and shared), f"{old} for {new}"
    assert not {("Na", "Cl"), ("Ca", "O"), ("O", "F"), ("Na", "Mg")} & pairs


def test_what_is_made_is_the_skeleton_with_other_elements(skeletons: Skeletons) -> None:
    for make in (ion_exchange, random_elements):
        for each in make(skeletons, 100, 2):
            known, swaps = parent(each), dict(each.swaps)
            assert [site.specie.symbol for site in each.structure] == [
                swaps.get(site.specie.symbol, site.specie.symbol) for site in known
            ]
            assert np.allclose(each.structure.frac_coords, known.frac_coords)
            assert len(each.structure.composition) == len(known.composition), "two elements became one"
            assert each.structure.lattice.angles == pytest.approx(known.lattice.angles)
            assert not set(swaps) & set(swaps.values())
    made = random_elements(skeletons, 50, 0)
    assert all(len(each.swaps) == len(parent(each).composition) for each in made), "every element is another one"


def test_cells_grow_with_the_elements(skeletons: Skeletons) -> None:
    volumes = skeletons.volumes
    for known in CRYSTALS:
        assert sum(volumes[str(site.specie)] for site in known) == pytest.approx(known.volume, rel=0.1)
    found = {(each.parent, each.swaps): each.structure.volume for each in ion_exchange(skeletons, 300, 3)}
    heavier = found[("mp-0", (("Cl", "Br"), ("Na", "K")))]  # NaCl to KBr
    assert heavier == pytest.approx(6.6**3, rel=0.08)
    assert found[("mp-2", (("Br", "Cl"), ("K", "Na")))] == pytest.approx(5.64**3, rel=0.08)


def test_distorted_crystals_are_strained_and_rattled_as_much_as_is_said(skeletons: Skeletons) -> None:
    made = distorted(skeletons, 400, 4)
    strains, moves = [], []
    for each in made:
        known = parent(each)
        assert each.structure.composition == known.composition
        strain = np.linalg.inv(known.lattice.matrix) @ each.structure.lattice.matrix - np.eye(3)
        strains.append(np.diag(strain))
        shift = each.structure.frac_coords - known.frac_coords
        moves.append((shift - np.round(shift)) @ each.structure.lattice.matrix)
    assert np.std(np.concatenate(strains)) == pytest.approx(0.04, rel=0.1)
    assert np.std(np.concatenate(moves)) == pytest.approx(0.12, rel=0.1)


@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
def test_a_seed_makes_the_same_crystals(make: Maker, skeletons: Skeletons) -> None:
    one, again, other = make(skeletons, 20, 7), make(skeletons, 20, 7), make(skeletons, 20, 8)
    assert [each.structure for each in one] == [each.structure for each in again]
    assert [each.structure for each in one] != [each.structure for each in other]
    assert [each.structure for each in make(skeletons, 5, 7)] == [each.structure for each in one[:5]] or (
        make is distorted  # whose parents are drawn at once
    )


def test_elements_with_nothing_like_them_are_told() -> None:
    lonely = Skeletons([rock_salt("Li", "N", 4.5)], ["mp-1"])
    with pytest.raises(ValueError, match="50 skeletons in a row hold no element that can be exchanged"):
        ion_exchange(lonely, 1, 0)


def test_skeletons_are_the_installed_compounds_near_the_hull(tmp_path, monkeypatch: pytest.MonkeyPatch, run) -> None:
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    code, _, err = run("generate", "ion_exchange", "-n", 2, "--out", tmp_path / "out")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "data set mp_structures is not in" in err
    (tmp_path / "data").mkdir()
    rows = [
        structure_row(f"mp-{n}", each)
        | {"energy_above_hull": height, "nelements": len(each.composition), "nsites": len(each), "volume": each.volume}
        for n, (each, height) in enumerate(zip(CRYSTALS, np.linspace(0, 0.12, len(CRYSTALS)), strict=True))
    ]
    iron = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    rows.append(rows[0] | structure_row("mp-99", iron) | {"nelements": 1})
    pd.DataFrame(rows).to_parquet(data.path_of("mp_structures"))
    found = Skeletons.installed()
    assert len(found) == sum(row["energy_above_hull"] < 0.1 for row in rows) - 1
    assert found.crystal(1).composition == CRYSTALS[1].composition
    assert found.volumes == pytest.approx(Skeletons(CRYSTALS[: len(found)], found.ids).volumes)
    for name in GENERATORS:
        code, _, err = run("generate", name, "-n", 3, "--out", tmp_path / name)
        assert code == 0
        table = pd.read_csv(tmp_path / name / "table.csv")
        assert len(table) == len(list((tmp_path / name).glob("*.cif"))) == 3
        assert table["parent"].str.startswith("mp-").all()
    for wrong, line in (
        (("--width", "2"), "ion_exchange takes -n, --seed and --out alone"),
        (("--seed", "-1"), "--seed -1; expected 0 or more"),
        (("--must", "Li"), "ion_exchange takes -n, --seed and --out alone"),
    ):
        code, _, err = run("generate", "ion_exchange", "-n", 2, "--out", tmp_path / "none", *wrong)
        assert (code, line in err) == (2, True), err
