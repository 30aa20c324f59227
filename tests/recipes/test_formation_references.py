"""The recipe of the reference energies: what is fitted, kept and counted, on crystals and a potential made up."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Element

from matgen_core.checks.physics import BOND_KINDS, Hull
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.arrays.formation import (
    BONDED,
    ELEMENT,
    FIT,
    HELD_OUT,
    ROLES,
    FormationArrays,
    PotentialArrays,
)
from matgen_core.networks.learning import formation_references as learning
from matgen_core.networks.learning.formation_references import FILE, FormationReferencesLearner
from matgen_core.networks.potentials import CONVERGED, OUTCOMES
from matgen_core.recipes.formation_references.figures import calls, error_bars
from matgen_core.recipes.formation_references.fit import compositions, fitted, least_absolute
from matgen_core.recipes.formation_references.phases import phases_of
from tests.support.potentials import Pairs, known_crystals

SYMBOLS = ("O", "F", "Na", "V", "Cl", "K", "H", "N")
NUMBERS = np.array([Element(symbol).Z for symbol in SYMBOLS])
SHIFTS = {"O": 4.2, "F": 1.4, "Na": 1.3, "V": 9.1, "Cl": 1.25}
U_OF_V = -1.7
SHIFT_OF = {"ozonide": 0.7, "superoxide": 0.55, "peroxide": 0.22}
GAS = -1.75  # eV/atom of solid fluorine by the potential


def planted(outliers: int = 0) -> tuple[FormationArrays, torch.Tensor]:
    """Crystals whose formation energies are those of the planted shifts, and energies of a potential."""
    rng = np.random.default_rng(2)
    grid = np.stack(np.meshgrid(*[np.arange(3) / 3] * 3), -1).reshape(-1, 3)
    crystals, roles, formed, energies = [], [], [], []
    for row in range(160):
        symbols = rng.choice(["O", "F", "Na", "V", "Cl"], 6).tolist()
        role, bond, coords = FIT, "", grid[rng.permutation(27)[:6]].copy()
        if row >= 120:
            bond, role = list(SHIFT_OF)[row % 3], BONDED
            symbols = ["O", "O", "O", "Na", "V", "Na"]
            coords = grid[[0, 13, 26, 2, 5, 18]].copy()
            length = {"ozonide": 1.35, "superoxide": 1.3, "peroxide": 1.52}[bond] / 9
            coords[1] = coords[0] + [length, 0, 0]
            if bond == "ozonide":
                coords[2] = coords[0] - [length, 0, 0]
        elif row >= 118:
            symbols, role = ["F", "F"], ELEMENT
            coords = np.array([[0, 0, 0], [1.42 / 9, 0, 0]])
        crystals.append(([Element(symbol).Z for symbol in symbols], 9.0 * np.eye(3), coords))
        share = {symbol: symbols.count(symbol) / len(symbols) for symbol in set(symbols)}
        energy = rng.normal(-5, 1)
        value = energy + sum(part * SHIFTS[symbol] for symbol, part in share.items())
        if len(share) > 1 and share.keys() & {"O", "F"}:
            value += share.get("V", 0) * U_OF_V
        if bond:
            value += SHIFT_OF[bond] * share["O"]
        if role == ELEMENT:
            energy, value = GAS, 0.0
        roles.append(ROLES.index(role))
        formed.append(value + (5 if row < outliers else 0))
        energies.append(energy)
    ids = tuple(f"mp-{row}" for row in range(len(roles)))
    arrays = FormationArrays(Cells.of(crystals), ids, torch.tensor(formed, dtype=torch.float64), torch.tensor(roles))
    return arrays, torch.tensor(energies, dtype=torch.float64)


@pytest.mark.parametrize("outliers", [0, 12])
def test_planted_shifts_are_found_whatever_a_tenth_of_the_entries_says(outliers: int) -> None:
    arrays, energy = planted(outliers)
    energy[40] = torch.nan  # a crystal that the potential could not take
    found = fitted(arrays, compositions(arrays, NUMBERS), energy, SYMBOLS)
    expected = [SHIFTS.get(symbol, np.nan) for symbol in SYMBOLS]
    np.testing.assert_allclose(found.elements, expected, atol=2e-3)
    np.testing.assert_allclose(found.oxidized, [0, 0, 0, U_OF_V, 0, 0, 0, 0], atol=2e-3)
    nan = np.nan  # of what the element is not there
    np.testing.assert_allclose(found.bonds, [*SHIFT_OF.values(), nan, nan, -GAS - SHIFTS["F"], nan], atol=5e-3)
    assert BOND_KINDS[:3] == tuple(SHIFT_OF)
    assert found.n_bonded.tolist() == [14, 13, 13, 0, 0, 2, 0]
    assert np.isfinite(found.element_energies).tolist() == [symbol == "F" for symbol in SYMBOLS]


def test_crystals_with_a_molecule_have_no_say_in_the_shifts() -> None:
    """The data have no class for them, so that theirs are other ones than those of compounds."""
    arrays, energy = planted()
    shares = compositions(arrays, NUMBERS)
    expected = fitted(arrays, shares, energy, SYMBOLS)
    numbers = [Element(symbol).Z for symbol in ("F", "F", "Na", "Na")]
    coords = [[0, 0, 0], [1.42 / 9, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5]]
    crystals = arrays.crystals.joined(Cells.of([(numbers, 9.0 * np.eye(3), coords)] * 150))
    more = torch.full((150,), 9.0, dtype=torch.float64)
    other = FormationArrays(
        crystals,
        arrays.ids + ("x",) * 150,
        torch.cat([arrays.formation_energy, more]),
        torch.cat([arrays.role, torch.full((150,), ROLES.index(FIT))]),
    )
    found = fitted(other, compositions(other, NUMBERS), torch.cat([energy, 0 * more]), SYMBOLS)
    np.testing.assert_array_equal(found.elements, expected.elements)


def test_an_element_with_few_crystals_has_no_shift_and_spoils_no_other() -> None:
    arrays, energy = planted()
    numbers = arrays.crystals.numbers.clone()
    few = [place for place in range(9 * 6) if numbers[place] == Element("Na").Z][:9]
    numbers[few] = Element("K").Z
    crystals = Cells(numbers, arrays.crystals.frac_coords, arrays.crystals.cells, arrays.crystals.counts)
    other = FormationArrays(crystals, arrays.ids, arrays.formation_energy, arrays.role)
    shares = compositions(other, NUMBERS)
    found = fitted(other, shares, energy, SYMBOLS)
    assert np.isnan(found.elements[SYMBOLS.index("K")])
    without = torch.where(torch.from_numpy(shares.fractions[:, SYMBOLS.index("K")] > 0), torch.nan, energy)
    np.testing.assert_array_equal(found.elements, fitted(other, shares, without, SYMBOLS).elements)


def test_without_u_the_metals_have_no_shift_in_oxides() -> None:
    arrays, energy = planted()
    shares = compositions(arrays, NUMBERS)
    assert not fitted(arrays, shares, energy, SYMBOLS, with_u=False).oxidized.any()


def test_the_least_absolute_errors_are_less_than_those_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(size=(200, 4))
    wanted = table @ [1.0, -2.0, 0.5, 3.0] + rng.standard_cauchy(200) * 0.05
    robust, squares = least_absolute(table, wanted), np.linalg.lstsq(table, wanted, rcond=None)[0]
    sums = [np.abs(wanted - table @ found).sum() for found in (robust, squares)]
    assert sums[0] < 0.999 * sums[1]
    for _ in range(200):  # no step from it does better
        assert sums[0] <= np.abs(wanted - table @ (robust + rng.normal(0, 0.01, 4))).sum() * 1.0005


def test_two_compounds_of_a_formula_are_kept_and_what_is_none_is_counted() -> None:
    rows = [
        ("mp-1", "Na2O", -1.0),
        ("mp-2", "Na4O2", -1.3),  # the same reduced formula
        ("mp-3", "Na2O", -0.2),
        ("mp-4", "O2", 0.0),
        ("mvc-5", "NaCl", -2.0),
        ("mp-6", "UO2", -3.0),  # no such element here
        ("mp-7", "no formula", -9.0),
        ("mine-8", "KCl", -9.0),
        ("mp-9", "K2NaVO4", -2.5),
    ]
    found = phases_of(pd.DataFrame(rows, columns=["material_id", "formula", "formation_energy_per_atom"]), SYMBOLS)
    assert found.ids.tolist() == [1, 2, -5, 9]
    assert (found.n_read, found.n_unreadable) == (9, 2)
    np.testing.assert_allclose(found.energies, [-1.0, -1.3, -2.0, -2.5])
    table = Hull(SYMBOLS, found.places.astype(int), found.counts.astype(int), found.energies.astype(float), found.ids)
    soda = np.array([1 / 3, 0, 2 / 3, 0, 0, 0, 0, 0])
    assert table.at(soda).energy == pytest.approx(-1.3)
    assert table.at(soda, ["mp-2"]).energy == pytest.approx(-1.0)
    mixed = np.array([4, 0, 1, 1, 0, 2, 0, 0]) / 8
    assert table.at(mixed).phases == (("K2NaVO4", pytest.approx(1.0)),)


def test_a_crystal_without_a_prediction_is_a_wrong_call() -> None:
    truth = np.array([-0.1, 0.02, 0.3, 0.3])
    right = calls(truth, truth)
    assert [right[key]["right"] for key in ("at_0", "at_005", "at_01")] == [1, 1, 1]
    assert right["at_01"]["always_yes"] == 0.5
    one_missing = calls(truth, np.array([-0.1, np.nan, 0.3, np.nan]))
    assert one_missing["n_missing"] == 2
    assert [one_missing[key]["right"] for key in ("at_0", "at_01")] == [0.5, 0.5]
    assert one_missing["mae"] == 0
    wrong = calls(truth, np.array([0.2, 0.02, 0.05, -0.7]))
    assert wrong["at_0"] == {"right": 0.5, "always_yes": 0.25, "precision": 0.0, "recall": 0.0}
    assert wrong["n_impossible"] == 1
    assert wrong["bias"] == pytest.approx((0.3 - 0.25 - 1.0) / 4)
    assert wrong["share_large"] == 0.75


def test_error_bars_count_every_prediction_once() -> None:
    predicted = np.array([-3.0, -0.1, -0.01, 0.0, 0.049, 0.05, 0.1, 0.2, 9.0, np.nan])
    truth = np.array([-3.0, 0.05, 0.0, 0.0, 0.11, 0.1, 0.1, 0.2, -1.0, 0.0])
    rows = error_bars(truth, predicted)
    assert [row["n"] for row in rows] == [1, 2, 2, 1, 1, 2]
    assert [row["stable"] for row in rows] == [1.0, 0.5, 0.5, 0.0, 0.0, 0.5]
    assert [row["near"] for row in rows] == [1.0, 1.0, 0.5, 1.0, 1.0, 0.5]
    assert (rows[0]["from"], rows[-1]["to"]) == (None, None)
    assert np.isnan(error_bars(truth, predicted + 50)[0]["near"])


def test_a_run_leaves_what_the_potentials_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every crystal one by one, of held-out ones relaxed; what the time did not reach is told apart."""
    monkeypatch.setattr(learning, "load_potential", lambda name, device: Pairs())
    arrays, learner = known_crystals(), FormationReferencesLearner(potentials=("7net-0",), max_force=0.01)
    learner.learn(arrays, tmp_path, "cpu")
    found = PotentialArrays.load(tmp_path / FILE)
    assert found.single["7net-0"].isfinite().all()
    assert set(found.relaxed) == {"7net-0/known", "7net-0/distorted"}, "what is asked second relaxes nothing"
    rows = arrays.rows(HELD_OUT)
    known, moved = found.relaxed["7net-0/known"], found.relaxed["7net-0/distorted"]
    for done in (known, moved):
        assert torch.equal(done.rows, rows)
        assert (done.outcome == OUTCOMES.index(CONVERGED)).all()
        assert (done.energy <= done.start_energy).all()
    torch.testing.assert_close(known.start_energy, found.single["7net-0"][rows])
    assert moved.start_energy.mean() > known.start_energy.mean()
    torch.testing.assert_close(moved.energy, known.energy, atol=1e-3, rtol=0)
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 0
    assert {name: int(n) for name, (_, n) in found.seconds.items()} == {
        "7net-0/single": 12,
        "7net-0/known": 2,
        "7net-0/distorted": 2,
        "chgnet/single": 12,
    }
    late = tmp_path / "late"
    late.mkdir()
    learner.for_run("cpu", 1e-9).learn(arrays, late, "cpu")
    outcome = PotentialArrays.load(late / FILE).relaxed["7net-0/distorted"].outcome
    assert outcome.tolist().count(-1) == 1
