import importlib.util
import random

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.checks.sets import (
    PEROV5_CUTOFFS,
    CoverageCutoffs,
    Fingerprints,
    coverage,
    evaluate_generation,
    evaluate_reconstruction,
    fingerprints,
    matcher,
    property_distances,
    structure_validity,
    summarize,
    uniqueness_and_novelty,
    validity,
)
from matgen_core.checks.sets.parallel import parallel_map

needs_matminer = pytest.mark.skipif(
    importlib.util.find_spec("matminer") is None, reason="matminer is in the extra `descriptors`"
)


def perovskite(a: float = 4.0, species: tuple[str, ...] = ("Ba", "Ti", "O", "O", "O")) -> Structure:
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(a), list(species), sites)


def moved(structure: Structure, distance: float, seed: int = 0) -> Structure:
    """Move every site by `distance` Å, each its own way."""
    rng, copy = np.random.default_rng(seed), structure.copy()
    for i in range(len(copy)):
        direction = rng.normal(size=3)
        copy.translate_sites([i], distance * direction / np.linalg.norm(direction), frac_coords=False)
    return copy


def double(x: int) -> int:
    return 2 * x


def test_a_perfect_reconstruction():
    original = perovskite()
    table = evaluate_reconstruction([original], [original.copy()])
    assert table.loc[0, "match"]
    assert table.loc[0, ["rmsd", "site_error", "length_error", "angle_error", "volume_error"]].tolist() == (
        pytest.approx([0, 0, 0, 0, 0], abs=1e-9)
    )
    assert table.loc[0, "species_accuracy"] == 1
    assert table.loc[0, "reason"] == ""


def test_known_deviation():
    # one of two sites moved by 0.3 Å: about their common center each is 0.15 Å off
    original = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    decoded = original.copy()
    decoded.translate_sites([1], [0.3, 0, 0], frac_coords=False)
    row = evaluate_reconstruction([original], [decoded]).loc[0]
    assert row["site_error"] == pytest.approx(0.15, abs=1e-6)
    assert row["max_site_error"] == pytest.approx(0.15, abs=1e-6)
    assert row["rmsd"] == pytest.approx(0.15 / (4**3 / 2) ** (1 / 3), abs=1e-6)


def test_known_lattice_errors():
    row = evaluate_reconstruction([perovskite(4.0)], [perovskite(4.1)]).loc[0]
    assert row["length_error"] == pytest.approx(0.1)
    assert row["volume_error"] == pytest.approx((4.1 / 4) ** 3 - 1)
    assert row["angle_error"] == pytest.approx(0)
    cell = Lattice.from_parameters(4, 4, 4, 90, 93, 90)
    tilted = Structure(cell, perovskite().species, perovskite().frac_coords)
    assert evaluate_reconstruction([perovskite()], [tilted]).loc[0, "angle_error"] == pytest.approx(1)


def test_a_supercell_has_no_lattice_error():
    row = evaluate_reconstruction([perovskite()], [perovskite() * (2, 1, 1)]).loc[0]
    assert row["match"]
    assert row["length_error"] == pytest.approx(0, abs=1e-6)
    assert row["volume_error"] == pytest.approx(0, abs=1e-9)


def test_failures_stay_in_the_denominator():
    original = perovskite()
    huge = Structure(Lattice.cubic(4), ["O"] * 5, np.full((5, 3), 0.5))
    decoded = [original.copy(), None, ValueError("no peaks"), huge, moved(original, 0.05)]
    table = evaluate_reconstruction([original] * 5, decoded)
    assert table["match"].tolist() == [True, False, False, False, True]
    assert table["reason"].tolist()[1:3] == ["not decoded: not decoded", "not decoded: no peaks"]
    assert table["reason"].tolist()[3] == "other composition"
    figures = summarize(table)
    assert figures["match_rate"] == pytest.approx(2 / 5)
    assert figures["decode_rate"] == pytest.approx(3 / 5)
    assert figures["structure_valid"] == pytest.approx(2 / 5)
    assert figures["composition_valid"] == pytest.approx(3 / 5)  # oxygen alone is an element
    assert figures["species_accuracy"] == pytest.approx((1 + 0 + 0 + 1 / 5 + 1) / 5, abs=0.05)
    assert figures["rmsd"] == pytest.approx(table["rmsd"].iloc[[0, 4]].mean())


def test_the_published_rate_asks_for_validity():
    unbalanced = perovskite(species=("Na", "Na", "Cl", "O", "Cl"))  # a match of itself, but no SMACT composition
    figures = summarize(evaluate_reconstruction([perovskite(), unbalanced], [perovskite(), unbalanced]))
    assert figures["match_rate"] == 1
    assert figures["valid_match_rate"] == pytest.approx(0.5)


def test_species_accuracy_counts_sites():
    wrong = perovskite(species=("Ba", "Ti", "O", "O", "S"))
    table = evaluate_reconstruction([perovskite()] * 3, [wrong, perovskite(species=("Ti", "Ba", "O", "O", "O")), None])
    assert table["species_accuracy"].tolist() == pytest.approx([0.8, 0.6, 0])
    assert table["reason"].tolist()[:2] == ["other composition", "same composition, other structure"]


def test_deviation_grows_with_the_noise():
    rows = evaluate_reconstruction([perovskite()] * 4, [moved(perovskite(), d) for d in (0.05, 0.1, 0.2, 0.4)])
    assert rows["match"].all()
    assert (np.diff(rows["rmsd"]) > 0).all()


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="2 originals but 1 decoded"):
        evaluate_reconstruction([perovskite()] * 2, [None])


def test_validity():
    near = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.1, 0, 0]])
    table = validity([perovskite(), near, None, perovskite(40.0)])
    assert table["structure_valid"].tolist() == [True, False, False, True]
    assert table["composition_valid"].tolist() == [True, True, False, True]
    assert table["valid"].tolist() == [True, False, False, True]
    assert table["volume_per_atom"].iloc[3] == pytest.approx(12800)  # the published test does not see it
    assert not structure_validity(Structure(Lattice.cubic(0.4), ["Na"], [[0, 0, 0]]))


def test_unique_and_novel():
    samples = [perovskite(), None, moved(perovskite(), 0.05), perovskite(species=("Sr", "Ti", "O", "O", "O"))]
    samples += [perovskite(species=("Ti", "Ba", "O", "O", "O")), perovskite() * (1, 1, 2)]
    table = uniqueness_and_novelty(samples, training=[perovskite(4.05)])
    assert table["unique"].tolist() == [True, False, False, True, True, False]
    assert table["novel"].tolist() == [False, False, False, True, True, False]


def test_uniqueness_does_not_depend_on_order():
    # a chain in which only neighbors match: greedy grouping gives two or three groups, depending on the start
    def stretched(ratio: float) -> Structure:
        return Structure(Lattice.tetragonal(4, 4 * ratio), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])

    chain = [stretched(1.3**k) for k in range(4)]
    assert matcher().fit(chain[0], chain[1])
    assert not matcher().fit(chain[0], chain[2])
    counts = set()
    for seed in range(6):
        shuffled = [*chain, perovskite(), None, moved(perovskite(), 0.02)]
        random.Random(seed).shuffle(shuffled)
        table = uniqueness_and_novelty(shuffled, training=[])
        counts.add((int(table["unique"].sum()), int(table["novel"].sum())))
    assert len(counts) == 1
    assert counts == {(2, 6)}


def test_property_distances():
    dense, light = perovskite(4.0), perovskite(8.0)
    figures = property_distances(
        [dense, None], [light], property_model=lambda s: np.full(len(s), len(s[0].composition))
    )
    assert figures["density_distance"] == pytest.approx(float(dense.density - light.density))
    assert figures["n_elements_distance"] == 0
    assert figures["energy_distance"] == 0
    assert figures["n_samples"] == 1
    assert "energy_distance" not in property_distances([dense], [dense])
    with pytest.raises(ValueError, match="none of 1 samples"):
        property_distances([None], [dense])


def line(*positions: float, failed: int = 0) -> Fingerprints:
    """Fingerprints that differ along one axis only, of which the composition's is ten times as long."""
    structure = np.zeros((len(positions) + failed, 61))
    composition = np.zeros((len(positions) + failed, 132))
    structure[: len(positions), 0], composition[: len(positions), 0] = positions, np.multiply(positions, 10)
    structure[len(positions) :], composition[len(positions) :] = np.nan, np.nan
    return Fingerprints(structure, composition, ("",) * len(positions) + ("failed",) * failed)


def test_coverage_of_known_distances():
    cutoffs = CoverageCutoffs(structure=0.2, composition=4.0)
    figures = coverage(line(0.0, 0.15, 5.0, failed=1), line(0.1, 1.0), cutoffs)
    assert figures["cov_recall"] == pytest.approx(1 / 2)
    assert figures["cov_precision"] == pytest.approx(2 / 4)  # the failure is in the denominator
    assert figures["joint_cov_precision"] == pytest.approx(2 / 4)
    assert figures["amsd_recall"] == pytest.approx((0.05 + 0.85) / 2)
    assert coverage(line(0.0), line(0.0, failed=1), cutoffs)["cov_recall"] == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match="no fingerprint"):
        coverage(line(failed=2), line(0.0), cutoffs)


def test_coverage_tells_joint_from_separate_neighbors():
    generated, reference = line(0.0), line(0.0, 3.0)
    reference.composition[0], reference.composition[1] = 50, 0  # one has the structure, the other the composition
    figures = coverage(generated, reference, CoverageCutoffs(0.2, 4.0))
    assert figures["cov_precision"] == 1
    assert figures["joint_cov_precision"] == 0


@needs_matminer
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # matminer's own, at import
def test_a_set_covers_itself():
    structures = [perovskite(), perovskite(species=("Sr", "Ti", "O", "O", "O"))]
    prints = fingerprints([*structures, None])
    assert prints.structure.shape == (3, 61)
    assert prints.composition.shape == (3, 132)
    assert prints.known.tolist() == [True, True, False]
    figures = evaluate_generation([*structures, None], structures, [structures[0]], PEROV5_CUTOFFS)
    assert figures["cov_recall"] == 1
    assert figures["cov_precision"] == pytest.approx(2 / 3)
    assert figures["unique"] == pytest.approx(2 / 3)
    assert figures["novel"] == pytest.approx(1 / 3)
    assert figures["valid"] == pytest.approx(2 / 3)
    assert figures["density_distance"] == pytest.approx(0)


def test_parallel_map_keeps_the_order():
    seen: list[tuple[int, int]] = []
    assert parallel_map(double, list(range(20)), 1, lambda i, n: seen.append((i, n))) == list(range(0, 40, 2))
    assert seen[-1] == (20, 20)
    assert parallel_map(abs, [-i for i in range(300)], 2, None) == list(range(300))
