"""Potentials on batches of cells: neighbors, evaluation, relaxation, and that what is strange fails alone."""

import contextlib
import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from matgen_core.networks.arrays.cells import Cells, distorted
from matgen_core.networks.potentials import (
    CONVERGED,
    Evaluation,
    Guards,
    Potential,
    RelaxSettings,
    evaluate,
    load_potential,
    loading,
    problems,
    relax,
    relaxing,
)
from matgen_core.networks.potentials.neighbors import neighbors
from tests.support.potentials import ROCKSALT, Pairs, calculator_of, salts

CUBE = np.eye(3)
TRICLINIC = np.array([[4.1, 0.3, -0.2], [1.2, 3.7, 0.4], [-0.8, 0.9, 5.2]])


def random_cells() -> Cells:
    rng = np.random.default_rng(0)
    cells = [TRICLINIC, 3.1 * ROCKSALT * 2, 9 * CUBE, np.diag([2.0, 3.0, 12.0]), TRICLINIC[::-1] * 1.4]
    return Cells.of(
        [
            (rng.integers(1, 80, n), cell, rng.normal(0.5, 2, (n, 3)))
            for n, cell in zip((5, 1, 3, 2, 8), cells, strict=True)
        ]
    )


def test_neighbors_are_those_of_pymatgen() -> None:
    crystals = random_cells()
    found, first = neighbors(crystals, 4.5), 0
    lengths = found.vectors.norm(dim=1).round(decimals=5)
    for place, (numbers, cell, coords) in enumerate(crystals.sites()):
        sources, targets, _, expected = Structure(Lattice(cell), numbers, coords).get_neighbor_list(4.5)
        here = crystals.owners[found.sources] == place
        ours = [(found.sources - first)[here], (found.targets - first)[here], lengths[here]]
        theirs = zip(sources.tolist(), targets.tolist(), expected.round(5).tolist(), strict=True)
        assert sorted(zip(*(column.tolist() for column in ours), strict=True)) == sorted(theirs)
        first += len(numbers)
    steps = crystals.frac_coords[found.targets] + found.shifts - crystals.frac_coords[found.sources]
    of_shifts = torch.bmm(steps[:, None], crystals.cells[crystals.owners[found.sources]])[:, 0]
    torch.testing.assert_close(of_shifts, found.vectors)


def test_neighbors_do_not_depend_on_the_size_of_the_chunks() -> None:
    crystals = random_cells()
    whole, few = neighbors(crystals, 4.5), neighbors(crystals, 4.5, pairs_at_once=1000)
    assert torch.equal(whole.sources, few.sources)
    assert torch.equal(whole.vectors, few.vectors)


def test_two_atoms_on_one_point_are_seen_and_an_atom_is_not_its_own_neighbor() -> None:
    crystals = Cells.of([([1, 2], 9 * CUBE, [[0.1, 0, 0], [1.1, 0, 0]]), ([1], 9 * CUBE, [[0.1, 0, 0]])])
    found = neighbors(crystals, 4.0)
    assert found.sources.tolist() == [0, 1]
    assert found.vectors.abs().max() < 1e-12


def test_cells_are_chosen_and_joined_as_they_were() -> None:
    crystals = random_cells()
    chosen = crystals.select([3, 0]).joined(crystals.select(torch.tensor([4])))
    for ours, place in zip(chosen.sites(), (3, 0, 4), strict=True):
        for one, other in zip(ours, crystals.sites()[place], strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(Cells.of([])) == 0
    with pytest.raises(ValueError, match=r"shapes \(2,\), \(3, 3\), \(3, 3\); expected numbers \(n,\)"):
        Cells.of([([1, 2], CUBE, np.zeros((3, 3)))])


def test_distorted_starts_are_as_far_as_asked_and_obey_the_seed() -> None:
    crystals = Cells.of([([1] * 8, 5 * CUBE, np.random.default_rng(0).random((8, 3)))] * 300)
    moved = distorted(crystals, 0.04, 0.12, 3)
    assert torch.equal(moved.cells, distorted(crystals, 0.04, 0.12, 3).cells)
    assert not torch.equal(moved.cells, distorted(crystals, 0.04, 0.12, 4).cells)
    strains = moved.cells / 5 - torch.eye(3)
    torch.testing.assert_close(strains, strains.transpose(1, 2))
    assert float(strains.std()) == pytest.approx(0.04, rel=0.05)
    steps = (moved.frac_coords - crystals.frac_coords)[:, None] @ moved.cells[crystals.owners]
    assert float(steps.std()) == pytest.approx(0.12, rel=0.03)


def test_energies_alone_are_those_in_a_batch() -> None:
    crystals = salts(5.2, 5.5, 5.8, 6.4)
    together, few = evaluate(Pairs(), crystals), evaluate(Pairs(edges_at_once=1), crystals)
    torch.testing.assert_close(together, few)
    assert len(set(together[0].tolist())) == 4


def test_what_a_potential_does_not_know_has_no_energy_and_the_others_have() -> None:
    known, strange = salts(5.5), Cells.of([([84], 3 * CUBE, [[0, 0, 0]]), ([1], 12 * CUBE, [[0, 0, 0]])])
    energy, force = evaluate(Pairs(), known.joined(strange).joined(known))
    assert energy.isfinite().tolist() == [True, False, False, True]
    assert energy[0] == energy[3]
    assert force[0] > 0


def test_relaxation_finds_the_least_energy_of_each_crystal() -> None:
    potential, crystals = Pairs(), salts(5.0, 5.3, 5.6, 5.9)
    found = relax(potential, crystals, RelaxSettings(max_force=1e-4, max_steps=500))
    assert {each.outcome for each in found} == {CONVERGED}
    assert np.ptp([each.energy_per_atom for each in found]) < 1e-6
    assert all(each.start_energy_per_atom > each.energy_per_atom for each in found)
    again = Cells.of([(each.numbers, each.cell, each.frac_coords) for each in found])
    energies, forces = evaluate(potential, again)
    np.testing.assert_allclose(energies, [each.energy_per_atom for each in found], atol=1e-9)
    assert forces.max() < 1e-4
    stress = potential(again).stress * again.volumes[:, None, None] / 2
    assert stress.abs().max() < 1e-3


def test_a_crystal_relaxes_alone_as_among_others() -> None:
    """Where places are freed others enter, and the result is that of each by itself."""
    crystals, potential = salts(5.0, 5.4, 5.8, 6.2, 5.2, 5.6), Pairs(edges_at_once=250)
    settings = RelaxSettings(frames=4)
    together = relax(potential, crystals, settings)
    assert 1 < max(potential.calls) < 6
    for place, each in enumerate(together):
        (alone,) = relax(Pairs(), crystals.select([place]), settings)
        assert (each.steps, each.outcome, each.reason) == (alone.steps, alone.outcome, alone.reason)
        assert each.energy_per_atom == pytest.approx(alone.energy_per_atom, abs=1e-9)
        np.testing.assert_allclose(each.cell, alone.cell, atol=1e-9)


def test_a_batch_is_refilled_and_results_come_as_they_are_there() -> None:
    potential = Pairs(edges_at_once=150)
    work = relaxing(potential, salts(5.0, 5.6, 5.62, 6.0))
    places = [place for place, _ in work]
    assert sorted(places) == [0, 1, 2, 3]
    assert places != [0, 1, 2, 3]
    before = len(potential.calls)
    work = relaxing(potential, salts(5.0, 5.6, 5.62, 6.0))
    next(work)
    work.close()
    n_calls = len(potential.calls) - before
    assert n_calls < before


STRANGE = {
    "two atoms are 0.30 Å apart; at least 0.7 Å are needed": ([11, 17], 5 * CUBE, [[0, 0, 0], [0.06, 0, 0]]),
    "two atoms are 0.00 Å apart; at least 0.7 Å are needed": ([11, 17], 5 * CUBE, [[0, 0, 0], [1, 0, 0]]),
    "pairs does not know Po": ([84, 11], 5 * CUBE, [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "pairs does not know Po, element 119": ([84, 119], 5 * CUBE, [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "an atom has no neighbor within 5 Å": ([11, 17, 17], 6.6 * CUBE, [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0.7]]),
    "1000.0 Å^3/atom, a cell that is nearly empty; at most 100 are relaxed": ([11], 10 * CUBE, [[0, 0, 0]]),
    "0.50 Å^3/atom; below 3 atoms overlap": ([11, 17], CUBE, [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "a flat cell: two of its planes are 1.00 Å apart; at least 1.5 Å are needed": (
        [11], np.diag([8, 8, 1]), [[0, 0, 0]],
    ),
    "0.00 Å^3/atom; below 3 atoms overlap": ([11], np.array([[4, 0, 0], [0, 4, 0], [4, 4, 0]]), [[0, 0, 0]]),
    "216 atoms in the cell; at most 200 are relaxed": (
        [11] * 216, 18 * CUBE, np.stack(np.meshgrid(*[np.arange(6) / 6] * 3), -1).reshape(-1, 3),
    ),
    "the cell or a coordinate is not a finite number": ([11, 17], 5 * CUBE, [[0, 0, 0], [np.nan, 0, 0]]),
    "the cell or a coordinate is not a finite number ": ([11], np.full((3, 3), np.inf), [[0, 0, 0]]),
}  # fmt: skip


def test_only_what_is_strange_fails_each_with_its_reason() -> None:
    crystals = Cells.of([*STRANGE.values()]).joined(salts(5.4))
    said = problems(crystals, Pairs(), Guards())
    for reason, found in zip(STRANGE, said, strict=False):
        assert found == reason.strip(), reason
    found = relax(Pairs(), crystals)
    assert [each.outcome for each in found[:-1]] == ["refused"] * len(STRANGE)
    assert [each.reason for each in found[:-1]] == said[:-1]
    assert all(np.isnan(each.energy_per_atom) for each in found[:-1])
    (alone,) = relax(Pairs(), salts(5.4))
    assert found[-1].energy_per_atom == alone.energy_per_atom
    assert found[-1].converged


@pytest.mark.parametrize(
    ("settings", "outcome", "reason"),
    [
        (RelaxSettings(max_steps=3), "out of steps", "the largest force is still"),
        (RelaxSettings(guards=Guards(volume_change=(0.999, 1.001))), "exploded", "the volume became"),
        (RelaxSettings(guards=Guards(largest_force=1e-6)), "exploded", "given up at step 0: a force of"),
    ],
)
def test_a_relaxation_that_does_not_end_well_says_why(settings: RelaxSettings, outcome: str, reason: str) -> None:
    (found,) = relax(Pairs(), salts(5.0), settings)
    assert found.outcome == outcome
    assert reason in found.reason
    assert not found.converged
    assert np.isnan(found.energy_per_atom) == (outcome == "exploded")


def test_an_energy_that_is_no_number_ends_that_crystal_alone() -> None:
    bromide = replace(salts(5.4), numbers=torch.tensor([11, 35]))
    found = relax(Pairs(broken=35), bromide.joined(salts(5.4)))
    assert [each.outcome for each in found] == ["exploded", "converged"]
    assert found[0].reason == "given up at step 0: the potential gave no finite number"


def test_an_atom_that_loses_its_neighbors_ends_that_crystal() -> None:
    """An atom alone feels no force, so it would else be taken for converged."""

    class Losing(Pairs):
        def __call__(self, crystals: Cells) -> Evaluation:
            return replace(super().__call__(crystals), lonely=torch.full((len(crystals),), len(self.calls) > 3))

    (found,) = relax(Losing(), salts(5.0))
    assert (found.outcome, found.reason) == ("exploded", "given up at step 3: an atom has lost all its neighbors")


def test_strongly_sheared_cells_take_the_steps_that_ase_takes() -> None:
    """In double precision, so that they are the same steps, however far the deformation goes."""
    from ase import Atoms
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    sheared = [5.2 * ROCKSALT @ shear for shear in (np.eye(3) + 0.25 * np.eye(3, k=1), np.diag([1.25, 0.9, 0.85]))]
    crystals = distorted(Cells.of([([11, 17], cell, [[0, 0, 0], [0.45, 0.5, 0.55]]) for cell in sheared]), 0.05, 0.1, 2)
    settings = RelaxSettings(max_force=0.01, max_steps=300)
    for found, (numbers, cell, coords) in zip(relax(Pairs(), crystals, settings), crystals.sites(), strict=True):
        atoms = Atoms(numbers, cell=cell, scaled_positions=coords, pbc=True)
        atoms.calc = calculator_of(Pairs())
        optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
        assert optimizer.run(fmax=0.01, steps=300)
        assert found.steps == optimizer.nsteps > 10
        np.testing.assert_allclose(found.cell, atoms.cell.array, atol=1e-6)
        np.testing.assert_allclose(found.frac_coords @ found.cell, atoms.positions, atol=1e-6)


def test_frames_are_thin_and_begin_and_end_where_the_crystal_does() -> None:
    settings = RelaxSettings(max_force=1e-4, max_steps=400, frames=8)
    (found,) = relax(Pairs(), salts(5.0), settings)
    steps = [frame.step for frame in found.frames]
    assert steps[0] == 0
    assert steps[-1] == found.steps > 20
    assert 4 <= len(steps) <= 9
    assert len(set(np.diff(steps[:-1]))) == 1
    np.testing.assert_array_equal(found.frames[-1].cell, found.cell)
    assert found.frames[0].energy_per_atom == pytest.approx(found.start_energy_per_atom)
    assert relax(Pairs(), salts(5.0))[0].frames == ()


@pytest.fixture(scope="module")
def seven() -> Potential:
    return load_potential("7net-0")


RUTILE = [[0, 0, 0], [0.5] * 3, [0.305, 0.305, 0], [0.695, 0.695, 0], [0.195, 0.805, 0.5], [0.805, 0.195, 0.5]]


def test_sevennet_agrees_with_its_own_calculator_and_relaxes_as_ase_does(seven: Potential) -> None:
    from ase import Atoms
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    crystals = distorted(
        Cells.of(
            [
                ([11, 17], 5.64 * ROCKSALT, [[0, 0, 0], [0.5] * 3]),
                ([14, 14], 5.43 * ROCKSALT, [[0, 0, 0], [0.25] * 3]),
                ([22, 22, 8, 8, 8, 8], np.diag([4.6, 4.6, 2.96]), RUTILE),
            ]
        ),
        0.03, 0.05, 1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package about torch
        from sevenn.calculator import SevenNetCalculator

        found, calculator = seven(crystals), SevenNetCalculator("7net-0", device="cpu")
    relaxed = relax(seven, crystals.select([0, 1]), RelaxSettings(max_steps=60))
    for place, (numbers, cell, coords) in enumerate(crystals.sites()):
        atoms = Atoms(numbers, cell=cell, scaled_positions=coords, pbc=True)
        atoms.calc = calculator
        assert float(found.energy[place]) == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
        np.testing.assert_allclose(found.forces[crystals.owners == place], atoms.get_forces(), atol=1e-4)
        np.testing.assert_allclose(found.stress[place], atoms.get_stress(voigt=False), atol=1e-5)
        if place == 2:  # six atoms: single evaluations are enough of them
            continue
        optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
        assert optimizer.run(fmax=0.05, steps=60)
        energy = atoms.get_potential_energy() / len(atoms)
        assert relaxed[place].energy_per_atom == pytest.approx(energy, abs=1e-3)
        assert abs(relaxed[place].steps - optimizer.nsteps) <= 1
        assert relaxed[place].converged
        np.testing.assert_allclose(relaxed[place].cell, atoms.cell.array, atol=5e-3)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True:UserWarning")
def test_chgnet_agrees_with_its_own_calculator_alone_and_in_a_batch() -> None:
    """Angles, images of a small cell, an atom whose neighbors are all far, another order of the sites."""
    dynamics = pytest.importorskip("chgnet.model.dynamics")
    from ase import Atoms

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        calculator = dynamics.CHGNetCalculator(use_device="cpu")
    potential = load_potential("chgnet")
    crystals = distorted(
        Cells.of(
            [
                ([11, 17], 5.64 * ROCKSALT, [[0, 0, 0], [0.5] * 3]),
                ([26], 1.43 * (np.ones((3, 3)) - 2 * np.eye(3)), [[0, 0, 0]]),
                ([55, 55], np.diag([9.5, 9.5, 4.0]), [[0, 0, 0], [0.5, 0.5, 1.5]]),  # no pair within 3 Å
                ([22, 8, 8, 22, 8, 8], np.diag([4.6, 4.6, 2.96]), [RUTILE[each] for each in (0, 2, 3, 1, 4, 5)]),
            ]
        ),
        0.03, 0.05, 1,
    )  # fmt: skip
    found = potential(crystals)
    assert not found.lonely.any()
    for place, (numbers, cell, coords) in enumerate(crystals.sites()):
        atoms = Atoms(numbers, cell=cell, scaled_positions=coords, pbc=True)
        atoms.calc = calculator
        assert float(found.energy[place]) / len(numbers) == pytest.approx(
            atoms.get_potential_energy() / len(numbers), abs=1e-5
        )
        np.testing.assert_allclose(found.forces[crystals.owners == place], atoms.get_forces(), atol=2e-4)
        np.testing.assert_allclose(found.stress[place], atoms.get_stress(voigt=False), atol=2e-5)
        alone = potential(crystals.select([place]))
        assert float(alone.energy[0]) == pytest.approx(float(found.energy[place]), abs=1e-4)
    far = Cells.of([([11], 9 * CUBE, [[0, 0, 0]])])
    assert potential(far.joined(crystals)).lonely.tolist() == [True, *[False] * 4]


def test_a_potential_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="'7net-9' is no potential; known: 7net-0, 7net-l3i5, chgnet"):
        load_potential("7net-9")
    with pytest.raises(ValueError, match="device 'tpu': expected cpu or cuda"):
        load_potential("7net-0", "tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no GPU that torch can use; take cpu"):
            load_potential("7net-0", "cuda")
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    for name, package in (("7net-0", "sevenn"), ("chgnet", "chgnet")):
        with pytest.raises(ValueError, match=rf"{name} needs the package {package}.*pip install {package}=="):
            load_potential(name)


class Evil:
    """What runs when somebody unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("package", ["sevenn", "chgnet"])
def test_no_file_that_calls_itself_a_potential_runs_code(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = pytest.importorskip("sevenn._const" if package == "sevenn" else "chgnet")
    name, mark = ("7net-0" if package == "sevenn" else "chgnet"), tmp_path / "it ran"
    content = {"config": Evil(mark), "model_state_dict": {}, "model": Evil(mark)}
    torch.save(content, tmp_path / name)
    monkeypatch.chdir(tmp_path)  # as the folder of a downloaded archive
    assert load_potential(name).name == name
    assert not mark.exists()
    if package == "sevenn":
        monkeypatch.setattr(module, "SEVENNET_0_11Jul2024", str(tmp_path / name))
    else:
        file = tmp_path / "pretrained" / "0.3.0" / "chgnet_0.3.0_e29f68s314m37.pth.tar"
        file.parent.mkdir(parents=True)
        torch.save(content, file)
        monkeypatch.setattr(module, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ValueError, match=f"holds more than weights and is not read; install {package} anew"):
        load_potential(name)
    assert not mark.exists()
    torch.load(tmp_path / name, weights_only=False)
    assert mark.exists()  # the file would have run
