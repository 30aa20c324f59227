"""Physics of crystals: bonds, hull, formation energies, how sure they are, what relaxing says."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks.physics import (
    BOND_KINDS,
    Energy,
    FormationEnergies,
    Hull,
    Odds,
    corrected_atoms,
    phase_number,
    relax_structures,
    soundness,
    symmetry_kept,
    volume_kept,
    volume_scan,
)
from matgen_core.checks.physics.bonds import molecules
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.models.formation_references import FormationReferences, FormationReferencesConfig
from matgen_core.networks.potentials import RelaxSettings
from matgen_core.representations import ElementFractions
from tests.support.crystals import of_group
from tests.support.potentials import Pairs

ELEMENTS = ("Li", "O", "F", "Na", "V")
# formula, formation energy (eV/atom), id
PHASES = (
    ("Li2O", -2.0, "mp-1"),
    ("Li2O", -1.9, "mp-2"),
    ("Li2O2", -1.6, "mp-3"),
    ("LiF", -3.1, "mp-4"),
    ("VO2", -2.5, "mp-5"),
    ("V2O5", -2.2, "mvc-5"),
    ("LiV2O4", -2.6, "mp-6"),
    ("VF4", -2.9, "mp-7"),
    ("LiVO2", -1.0, "mp-8"),
)


def hull() -> Hull:
    compositions = [Composition(formula).reduced_composition for formula, _, _ in PHASES]
    places, counts = np.full((len(PHASES), 3), -1), np.zeros((len(PHASES), 3), int)
    for row, composition in enumerate(compositions):
        for slot, (element, n) in enumerate(composition.items()):
            places[row, slot], counts[row, slot] = ELEMENTS.index(element.symbol), n
    energies = np.array([energy for _, energy, _ in PHASES])
    return Hull(ELEMENTS, places, counts, energies, np.array([phase_number(each) for _, _, each in PHASES]))


def fractions(formula: str) -> np.ndarray:
    return ElementFractions(ELEMENTS).encode(Composition(formula))


FORMULAS = ("Li2O", "LiO3", "LiVO2", "V3O7", "Li3VO4", "LiVOF3", "LiV3O8", "Li", "VO", "Li5V2O7F", "O2")


@pytest.mark.parametrize("left_out", [(), ("mp-1",), ("mp-5", "mvc-5", "mp-6"), ("mp-5",)])
def test_the_hull_is_that_of_pymatgen(left_out: tuple[str, ...]) -> None:
    entries = [PDEntry(Composition(each), 0.0) for each in ELEMENTS]
    for formula, energy, name in PHASES:
        composition = Composition(formula)
        if name not in left_out:
            entries.append(PDEntry(composition, energy * composition.num_atoms))
    diagram = PhaseDiagram(entries)
    for formula in FORMULAS:
        found = hull().at(fractions(formula), left_out)
        expected = diagram.get_hull_energy_per_atom(Composition(formula))
        assert found.energy == pytest.approx(expected, abs=1e-6), formula
        assert sum(share for _, share in found.phases) == pytest.approx(1, abs=1e-3)
        mixed = sum((share * fractions(phase) for phase, share in found.phases), np.zeros(5))
        np.testing.assert_allclose(mixed, fractions(formula), atol=1e-3)


def test_only_the_entry_of_the_candidate_is_left_out() -> None:
    energies = [hull().at(fractions("Li2O"), out).energy for out in ((), ("mp-1",), ("mp-2",), ("mp-1", "mp-2"))]
    assert energies[:3] == [-2.0, -1.9, -2.0]
    assert -1.9 < energies[3] < 0
    # mvc-5 is not mp-5
    assert hull().at(fractions("VO2"), ["mvc-5"]).energy == -2.5 < hull().at(fractions("VO2"), ["mp-5"]).energy
    ids = ("mp-7", "mvc-7", "mine", "mp-x", "", "MP-7", "mp-1-2")
    assert [phase_number(each) for each in ids] == [7, -7, 0, 0, 0, 0, 0]


def molecule(element: str, distance: float, others: dict[str, int], edge: float = 9.0, bridged: bool = False) -> Cells:
    """Two atoms of an element in a large cell, a third if it is bridged, and other atoms far from all."""
    symbols, places = [element, element], [[0, 0, 0], [distance, 0, 0]]
    if bridged:
        symbols.append(element)
        places.append([2 * distance, 0, 0])
    for symbol, n in others.items():
        for i in range(n):
            symbols.append(symbol)
            places.append([1.5 + 2.2 * (len(symbols) % 3), 4.5, 2.2 * i])
    structure = Structure(Lattice.cubic(edge), symbols, places, coords_are_cartesian=True)
    return Cells.of([([site.specie.Z for site in structure], structure.lattice.matrix, structure.frac_coords)])


# of: ozonide, superoxide, peroxide, then molecules of hydrogen, nitrogen, fluorine, chlorine
BONDS: list[tuple[Cells, list[int]]] = [
    (molecule("O", 1.21, {"Li": 2}), [0, 2, 0, 0, 0, 0, 0]),
    (molecule("O", 1.33, {"K": 1}), [0, 2, 0, 0, 0, 0, 0]),
    (molecule("O", 1.33, {"K": 1, "O": 3}), [0, 5, 0, 0, 0, 0, 0]),
    (molecule("O", 1.48, {"K": 1}), [0, 2, 0, 0, 0, 0, 0]),
    (molecule("O", 1.49, {"K": 1}), [0, 0, 2, 0, 0, 0, 0]),
    (molecule("O", 1.63, {"Li": 2, "O": 1}), [0, 0, 3, 0, 0, 0, 0]),
    (molecule("O", 1.65, {"Li": 2, "O": 1}), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("O", 2.40, {"Li": 2}), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("O", 1.35, {"Rb": 1}, bridged=True), [3, 0, 0, 0, 0, 0, 0]),
    (molecule("F", 1.42, {"Li": 1, "F": 2}), [0, 0, 0, 0, 0, 2, 0]),
    (molecule("F", 1.75, {"Li": 1}), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("S", 1.40, {"O": 2}), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("O", 1.30, {"Li": 1}, edge=4.6), [0, 2, 0, 0, 0, 0, 0]),
    (molecule("N", 1.11, {"Li": 3, "N": 1}), [0, 0, 0, 0, 2, 0, 0]),
    (molecule("N", 1.14, {}), [0, 0, 0, 0, 2, 0, 0]),
    (molecule("N", 1.14, {"Li": 1}, bridged=True), [0, 0, 0, 0, 0, 0, 0]),  # an azide, however short
    (molecule("N", 1.18, {"Na": 1}), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("N", 1.25, {"Ba": 1}), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("N", 1.42, {"Pt": 1}), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("H", 0.74, {"Si": 1, "H": 2}), [0, 0, 0, 2, 0, 0, 0]),
    (molecule("H", 0.85, {"Li": 1}), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("H", 0.78, {"Li": 1}, bridged=True), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("Cl", 2.00, {"Na": 1, "Cl": 1}), [0, 0, 0, 0, 0, 0, 2]),
    (molecule("Cl", 2.30, {"Cs": 1}), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("Cl", 2.05, {"Na": 1}, bridged=True), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("Br", 2.30, {"K": 1}), [0, 0, 0, 0, 0, 0, 0]),
    (molecule("I", 2.70, {"K": 1}), [0, 0, 0, 0, 0, 0, 0]),
]


def with_hydroxide(cells: Cells) -> Cells:
    (numbers, cell, coords), near = cells.sites()[0], [0.97 / cells.cells[0, 0, 0], 0, 0]
    return Cells.of([([*numbers, 8, 1], cell, [*coords, [0.3, 0.3, 0.3], [0.3 + near[0], 0.3, 0.3]])])


def test_bonds_between_anions_are_seen_for_what_they_are() -> None:
    together = BONDS[0][0]
    for cells, _ in BONDS[1:]:
        together = together.joined(cells)
    assert corrected_atoms(together).tolist() == [expected for _, expected in BONDS]
    assert BOND_KINDS == ("ozonide", "superoxide", "peroxide", "hydrogen", "nitrogen", "fluorine", "chlorine")
    assert molecules(together).tolist() == [any(expected[3:]) for _, expected in BONDS]


def test_a_third_atom_makes_a_molecule_a_compound() -> None:
    """N2O is none of N2, nor is H2 where it touches; a metal at its usual distance changes nothing."""
    for third, distance, n in (("O", 1.19, 0), ("N", 1.3, 0), ("H", 1.02, 0), ("Li", 2.1, 2), ("Fe", 1.8, 2)):
        structure = Structure(
            Lattice.cubic(9), ["N", "N", third], [[0, 0, 0], [1.12, 0, 0], [-distance, 0, 0]], coords_are_cartesian=True
        )
        sites = [site.specie.Z for site in structure], structure.lattice.matrix, structure.frac_coords
        assert corrected_atoms(Cells.of([sites])).tolist()[0][4] == n, third


def test_gas_in_the_cell_gains_nothing() -> None:
    """With the tables that are shipped: sodium and a molecule that do not touch are a mixture of the elements.

    CHGNet learned corrected energies, so that by it bromine and iodine lie too high, which gains nothing either.
    """
    shipped = checkpoint.load("formation_references")
    energies, symbols = shipped.model.element_energies.double(), shipped.representation.elements
    held = FormationEnergies(shipped)
    lengths = {"H": 0.74, "N": 1.11, "F": 1.42, "Cl": 1.99, "Br": 2.3, "I": 2.7}
    for row, potential in enumerate(held.potentials):
        of = {symbol: float(energies[row, symbols.index(symbol)]) for symbol in ("Na", *lengths)}
        for symbol, length in lengths.items():
            places = [[0, 0, 0], [length, 0, 0], [4.5, 4.5, 4.5]]
            cell = Structure(Lattice.cubic(9), [symbol, symbol, "Na"], places, coords_are_cartesian=True)
            per_atom = (2 * of[symbol] + of["Na"]) / 3
            found = held.formation_energy(cell, Energy(potential, per_atom))
            assert found > -0.03, (potential, symbol)
            if potential != "chgnet" or symbol not in ("Br", "I"):
                assert found < 0.03, (potential, symbol)


def test_the_oxygen_of_hydrogen_peroxide_is_none_and_that_of_a_molecule_beside_water_is() -> None:
    found = [corrected_atoms(with_hydroxide(molecule("O", d, {"Li": 1}))).tolist()[0] for d in (1.21, 1.33, 1.46, 1.49)]
    assert [each[:3] for each in found] == [[0, 3, 0], [0, 3, 0], [0, 0, 0], [0, 0, 0]]


def references(**changes: Any) -> FormationEnergies:
    """Shifts that are easily followed: no shift of Na, no ground state of V."""
    table = hull()
    model = FormationReferences(FormationReferencesConfig(5, ("a", "b"), BOND_KINDS, len(PHASES), 3))
    nan = torch.nan
    shifts = torch.tensor([1.0, 4.0, 1.5, nan, 8.0])
    tables = {
        "shifts": torch.stack([shifts, shifts + 1]),
        "oxidized_shifts": torch.tensor([[0, 0, 0, 0, -1.5], [0, 0, 0, 0, -1.0]]),
        "bond_shifts": torch.tensor([[0.7, 0.55, 0.2, nan, nan, 0.4, nan]] * 2),
        "element_energies": torch.tensor([[-1.9, -4.9, -1.8, nan, nan]] * 2),
        "phase_elements": torch.from_numpy(table.places),
        "phase_counts": torch.from_numpy(table.counts),
        "phase_energies": torch.from_numpy(table.energies),
        "phase_ids": torch.from_numpy(table.ids),
    }
    model.load_state_dict(tables)
    bars = [
        {"from": None, "to": 0.0, "n": 20, "stable": 0.9, "near": 0.95},
        {"from": 0.0, "to": 0.1, "n": 0, "stable": None, "near": None},
        {"from": 0.1, "to": None, "n": 8, "stable": 0.0, "near": 0.25},
    ]
    made = Checkpoint("x", "formation_references", model, ElementFractions(ELEMENTS), {"error_bars": {"a": bars}}, "")
    return FormationEnergies(replace(made, **changes))


def crystal(formula: str) -> Structure:
    """Atoms of a formula on a wide grid: no bonds between anions."""
    symbols = [element.symbol for element, n in Composition(formula).items() for _ in range(int(n))]
    grid = np.stack(np.meshgrid(*[np.arange(3) / 3] * 3), -1).reshape(-1, 3)
    return Structure(Lattice.cubic(8.0), symbols, grid[: len(symbols)])


@pytest.mark.parametrize(
    ("formula", "potential", "per_atom", "expected"),
    [
        ("Li2O", "a", -4.0, -4 + 2 / 3 + 4 / 3),
        ("Li2O", "b", -4.0, -4 + 2 / 3 + 4 / 3 + 1),
        ("VO2", "a", -8.0, -8 + 8 / 3 + 8 / 3 - 1.5 / 3),
        ("VO2", "b", -8.0, -8 + 8 / 3 + 8 / 3 + 1 - 1.0 / 3),
        ("LiV", "a", -6.0, -6 + 0.5 + 4),  # no U without an anion
        ("Li", "a", -1.8, 0.1),
        ("O2", "a", -4.9, 0.0),
    ],
)
def test_a_formation_energy_is_the_energy_and_its_shifts(
    formula: str, potential: str, per_atom: float, expected: float
) -> None:
    found = references().formation_energy(crystal(formula), Energy(potential, per_atom))
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_molecule_in_the_cell_costs_its_shift() -> None:
    oxide, held = crystal("LiO2"), references()
    superoxide = oxide.copy()
    superoxide[2] = "O", np.add(superoxide[1].frac_coords, [1.3 / 8, 0, 0])
    plain, bonded = (held.formation_energy(each, Energy("a", -4.0)) for each in (oxide, superoxide))
    assert bonded - plain == pytest.approx(0.55 * 2 / 3, abs=1e-6)


NOT_CHECKED = [
    ("NaF", Energy("a", -4.0), "not checked: no reference energy for Na"),
    ("NaV", Energy("a", -4.0), "not checked: no reference energy for Na"),
    ("V", Energy("a", -9.0), "not checked: no reference energy for V"),
    ("KF", Energy("a", -4.0), "not checked: no reference energy for K"),
    ("KRbF2", Energy("a", -4.0), "not checked: no reference energy for K, Rb"),
    ("Li2O", Energy("c", -4.0), "not checked: no references for 'c'; known: a, b"),
    ("Li2O", Energy("a", float("nan")), "not checked: a gave no finite energy"),
    ("Li2O", Energy("a", float("inf")), "not checked: a gave no finite energy"),
    ("LiV", Energy("a", -4.0), "not checked: no known compound of Li-V or a part of it to hold it against"),
]


@pytest.mark.parametrize(("formula", "energy", "reason"), NOT_CHECKED)
def test_what_is_not_covered_is_not_checked(formula: str, energy: Energy, reason: str) -> None:
    found = references().stability(crystal(formula), energy)
    assert found.stable.passed is found.near.passed is found.distance is found.odds is None
    assert found.stable.reason == reason


def test_a_distance_is_signed_and_has_its_odds() -> None:
    held, structure = references(), crystal("Li2O")
    above = held.stability(structure, Energy("a", -3.85))
    below = held.stability(structure, Energy("a", -4.2))
    assert above.distance == pytest.approx(0.15, abs=1e-6)
    assert (above.stable.passed, above.near.passed) == (False, False)
    assert above.stable.reason == "0.150 eV/atom above Li2O by a"
    assert above.odds == Odds(8, 0.0, 0.25)
    assert below.distance == pytest.approx(-0.2, abs=1e-6)
    assert (below.stable.passed, below.near.passed) == (True, True)
    assert below.stable.reason == "0.200 eV/atom below Li2O by a"
    assert below.odds == Odds(20, 0.9, 0.95)
    near = held.stability(structure, Energy("a", -3.95))
    assert (near.stable.passed, near.near.passed, near.odds) == (False, True, None)
    own = held.stability(structure, Energy("a", -4.0), leave_out=["mp-1"])
    assert own.distance == pytest.approx(-0.1, abs=1e-6)
    assert held.stability(structure, Energy("b", -5.0)).odds is None


DEEP = [
    (Energy("a", -4.6), None, "ask a second potential"),
    (Energy("a", -4.6), Energy("b", -5.0), "b says +0.00"),
    (Energy("a", -4.6), Energy("c", -5.0), "the second potential cannot say (no references for 'c'; known: a, b)"),
    (Energy("a", -4.6), Energy("b", float("nan")), "the second potential cannot say (b gave no finite energy)"),
    (Energy("a", -17.0), Energy("b", -5.0), "b says"),
]


@pytest.mark.parametrize(("energy", "second", "reason"), DEEP)
def test_what_lies_impossibly_deep_is_refused(energy: Energy, second: Energy | None, reason: str) -> None:
    found = references().stability(crystal("Li2O"), energy, second)
    assert found.stable.passed is found.distance is None
    assert found.formation_energy is not None
    assert found.near.reason.startswith("refused: impossibly low, -")
    assert reason in found.near.reason


def test_what_two_potentials_agree_on_is_believed() -> None:
    found = references().stability(crystal("Li2O"), Energy("a", -4.6), Energy("b", -5.55))
    assert found.distance == pytest.approx(-0.6, abs=1e-6)
    assert found.stable.passed is True


def test_another_checkpoint_is_named() -> None:
    with pytest.raises(ValueError, match="x holds no reference energies; take formation_references"):
        references(representation="something else")


ROCKSALT = of_group("Fm-3m", Lattice.cubic(5.2), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])


def test_structures_relax_and_what_cannot_be_relaxed_says_why() -> None:
    partial = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3])
    crowded = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.05, 0, 0]])
    empty = Structure(Lattice.cubic(4), [], [])
    charged = ROCKSALT.get_primitive_structure().add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    given = [partial, ROCKSALT.get_primitive_structure(), crowded, empty, charged]
    found = dict(relax_structures(Pairs(), given, RelaxSettings(frames=3)))
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert [found[place].structure is None for place in range(5)] == [True, False, True, True, False]
    assert found[0].reason == "some sites are partially occupied; order the structure first"
    assert found[2].reason == "two atoms are 0.20 Å apart; at least 0.7 Å are needed"
    assert found[3].reason == "no atoms"
    assert found[1].converged
    assert found[1].structure.composition.reduced_formula == "NaCl"
    assert found[1].energy_per_atom == pytest.approx(found[4].energy_per_atom)
    assert found[1].energy_per_atom < found[1].start_energy_per_atom
    assert len(found[1].frames) >= 2
    assert found[0].energy_per_atom is found[0].start_energy_per_atom is None


def scaled(factor: float) -> Structure:
    other = ROCKSALT.copy()
    other.scale_lattice(ROCKSALT.volume * factor)
    return other


@pytest.mark.parametrize(
    ("factor", "kept"), [(1, True), (1.09, True), (1.11, False), (0.92, True), (0.89, False), (3, False)]
)
def test_a_volume_is_kept_within_a_tenth(factor: float, kept: bool) -> None:
    assert volume_kept(scaled(factor), ROCKSALT).passed is kept
    assert volume_kept(scaled(factor), ROCKSALT.get_primitive_structure()).passed is kept


def test_symmetry_is_kept_found_or_lost() -> None:
    moved = ROCKSALT.copy()
    moved.translate_sites([0], [0.06, 0.03, 0.0])
    assert symmetry_kept(ROCKSALT, ROCKSALT.get_primitive_structure()).passed is True
    assert symmetry_kept(moved, ROCKSALT).passed is True
    lost = symmetry_kept(ROCKSALT, moved)
    assert lost.passed is False
    assert lost.reason.startswith("Fm-3m (225), cubic before, ")
    on_one_point = Structure(Lattice.cubic(4), ["Na", "Na"], [[0, 0, 0], [0, 0, 0]])
    assert symmetry_kept(on_one_point, ROCKSALT).passed is None
    assert {name: verdict.passed for name, verdict in soundness(scaled(1.3), moved).items()} == {
        "charge_neutral": True,
        "strict_distances": True,
        "volume_kept": False,
        "symmetry_kept": False,
    }


def test_charges_of_a_composition_say_how_they_add_up() -> None:
    for formula, passed in (("NaCl", True), ("Na2Cl", False), ("Fe3O4", True), ("NaO3Cl4", False), ("FeAl", None)):
        verdict = soundness(crystal(formula), crystal(formula))["charge_neutral"]
        assert verdict.passed is passed, (formula, verdict.reason)
        assert verdict.reason


def test_a_scan_finds_the_volume_of_least_energy() -> None:
    """Of pairs of atoms the least energy is known: by a fine scan, and where a relaxation of the cell ends."""
    potential = Pairs()
    [(_, done)] = relax_structures(
        potential, [ROCKSALT.get_primitive_structure()], RelaxSettings(max_force=1e-4, max_steps=300)
    )
    rest = done.structure
    for factor, expected in ((1.0, 0.0), (1.05, 0.05), (0.96, -0.04), (1.08, 0.08), (0.93, -0.07)):
        moved = rest.copy()
        moved.scale_lattice(rest.volume * factor)
        n_before = len(potential.calls)
        scan = volume_scan(potential, moved)
        assert len(potential.calls) == n_before + 1, "one batch"
        assert scan.offset == pytest.approx(expected, abs=0.005), factor
        assert scan.verdict.passed is True
        side = "larger" if scan.offset > 0 else "smaller"
        assert scan.verdict.reason.startswith(f"{abs(scan.offset):.1%} {side} than the volume of least energy of -10%")
    for factor, said in ((1.3, "too large: of -10% to +10% the energy is least at the very end"), (0.75, "too small")):
        moved = rest.copy()
        moved.scale_lattice(rest.volume * factor)
        verdict = volume_scan(potential, moved).verdict
        assert (verdict.passed, verdict.reason.startswith(said)) == (False, True), verdict.reason
    broken = volume_scan(Pairs(broken=17), rest)
    assert (broken.offset, broken.verdict.passed) == (None, None)
    assert broken.verdict.reason == "the potential gave no finite energy within -10% to +10% of its volume"
