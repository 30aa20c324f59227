"""The baseline without a network, and where a network for cubic crystals ends: counted by hand."""

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core import checkpoint, data
from matgen_core.data import DATASETS, Dataset
from matgen_core.latent.space import Decoded, LatentSpace
from matgen_core.networks.learning.voxels.points import Samples
from matgen_core.recipes.shared import crystal_limits
from matgen_core.recipes.shared.crystal_baselines import Prototypes, nearest_prototype
from matgen_core.recipes.shared.crystal_limits import ElementVolumes, between, displaced, lines, other_families
from matgen_core.recipes.shared.cubic import prepare, structures
from tests.support.crystals import of_group, rock_salt


def cesium_chloride(first: str, second: str, edge: float = 4.0) -> Structure:
    return Structure(Lattice.cubic(edge), [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]])


def perovskite(a: str, b: str, x: str, edge: float = 4.0) -> Structure:
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(edge), [a, b, x, x, x], places)


TRAINING = [
    rock_salt("Na", "Cl"),
    cesium_chloride("Cs", "Br", 4.3),
    cesium_chloride("Al", "Ni", 2.9),
    perovskite("Sr", "Ti", "O", 3.9),
    perovskite("Cs", "Pb", "Cl", 5.6),
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (rock_salt("K", "F"), rock_salt("K", "F", 5.64)),  # the prototype's own edge
        (rock_salt("F", "K"), rock_salt("K", "F", 5.64)),  # the order in the file says nothing
        (cesium_chloride("Cs", "I", 9.0), cesium_chloride("Cs", "I", 4.3)),
        (rock_salt("Ga", "Co"), cesium_chloride("Ga", "Co", 2.9)),  # only the formula is looked at
        (perovskite("Ba", "Zr", "O"), perovskite("Ba", "Zr", "O", 3.9)),
        (perovskite("Zr", "Ba", "O"), perovskite("Ba", "Zr", "O", 3.9)),  # places by likeness, not by order
        (perovskite("Rb", "Sn", "Br"), perovskite("Rb", "Sn", "Br", 5.6)),
        (perovskite("O", "Sr", "Ti"), perovskite("Sr", "O", "Ti", 5.6)),  # what occurs three times stays so
    ],
)
def test_the_prototype_with_the_most_alike_elements_is_taken(asked: Structure, expected: Structure) -> None:
    found = Prototypes(TRAINING).nearest(asked)
    assert found is not None
    assert found.lattice.a == pytest.approx(expected.lattice.a)
    pairs = [{(site.specie.symbol, *site.frac_coords.round(3)) for site in each} for each in (found, expected)]
    assert pairs[0] == pairs[1]


def test_a_formula_of_unknown_amounts_has_no_prototype() -> None:
    fluorite = of_group("Fm-3m", Lattice.cubic(5.4), ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    assert Prototypes(TRAINING).nearest(fluorite) is None


def row(structure: Structure, family: str) -> dict[str, object]:
    return {
        "material_id": structure.reduced_formula,
        "lattice": structure.lattice.matrix.ravel(),
        "numbers": np.array(structure.atomic_numbers),
        "frac_coords": structure.frac_coords.ravel(),
        "formation_energy_per_atom": -1.0,
        "space_group_number": 221,
        "family": family,
    }


def part(name: str, *given: Structure) -> Dataset:
    """A part of cubic crystals, the last of which is of another family than the others."""
    families = ["binary"] * (len(given) - 1) + ["abx3"]
    table = pd.DataFrame([row(each, family) for each, family in zip(given, families, strict=True)])
    return Dataset(f"cubic/{name}", table, DATASETS["mp_structures"], "hash")


PARTS = {
    "train": part("train", cesium_chloride("Cs", "F"), cesium_chloride("K", "F"), perovskite("Sr", "Ti", "O")),
    "val": part("val", perovskite("Sr", "Ti", "O")),
    "test": part("test", cesium_chloride("Rb", "F"), rock_salt("Na", "F"), perovskite("Ba", "Ti", "O")),
}
ARRAYS = prepare(PARTS, conventional=False)
ARRAYS_LEARNED = ("Cs", "K", "F", "Sr", "Ti", "O")  # the elements of the training part


def test_the_baseline_is_judged_as_a_network_is() -> None:
    found = nearest_prototype(ARRAYS)
    assert {name: each["n_samples"] for name, each in found.items()} == {"all": 3, "binary": 2, "abx3": 1}
    # RbF and BaTiO3 have their prototype; NaF is rock salt and gets that of KF.
    assert {name: each["n_matched"] for name, each in found.items()} == {"all": 2, "binary": 1, "abx3": 1}


def test_volumes_are_sums_over_elements_and_off_by_more_than_a_quarter() -> None:
    volumes = ElementVolumes(ARRAYS.of_part("train"))
    assert volumes.expected(cesium_chloride("Cs", "F")) == pytest.approx(64, rel=1e-3)
    learned = sum(volumes.expected(Structure(Lattice.cubic(3), [symbol], [[0, 0, 0]])) for symbol in ARRAYS_LEARNED)
    unknown = Structure(Lattice.cubic(3), ["Xe"], [[0, 0, 0]])
    assert volumes.expected(unknown) == pytest.approx(learned / len(ARRAYS_LEARNED))
    for edge, off in ((4.0, False), (4.3, False), (4.32, True), (3.65, False), (3.6, True)):  # 1.25 is an edge of 4.31
        assert volumes.is_off(cesium_chloride("Cs", "F", edge)) is off, edge


def test_what_stands_on_lines_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "names", list)
    z = np.zeros(1, np.float32)
    halides = (cesium_chloride("Cs", "F"), cesium_chloride("K", "F"))
    ends = [halides, (perovskite("Sr", "Ti", "O"), halides[1])]
    points = [
        Decoded(z, cesium_chloride("K", "F")),
        Decoded(z, cesium_chloride("K", "F", 5.0)),  # too large
        Decoded(z, perovskite("Sr", "Ti", "O")),  # strange elements
        Decoded(z, perovskite("Sr", "Ti", "O", 5.0)),  # too large, but of an end of its own line
        Decoded(z, problem="no peak"),
        Decoded(z, cesium_chloride("Cs", "F")),  # not of this line
    ]
    found = between(points, ends, 3, ElementVolumes(ARRAYS.of_part("train")))
    assert (found["n_lines"], found["n_points"], found["energy"]) == (2, 6, None)
    assert found["decoded"] == pytest.approx(5 / 6)
    assert found["foreign"] == pytest.approx(2 / 6)
    assert found["volume_off"] == pytest.approx(2 / 6)
    assert found["plain"] == pytest.approx(1 / 6)  # what does not decode is not plain


def test_a_shipped_network_is_tried_on_lines_displaced_atoms_and_other_families(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space = LatentSpace.of(checkpoint.load("icsg3d_perov5"))
    small = part("test", cesium_chloride("Rb", "F"), cesium_chloride("Na", "F"), perovskite("Ba", "Ti", "O"))
    arrays = prepare({**PARTS, "test": small}, conventional=False)
    found = lines(space, arrays, Samples(walks=3, steps=2), seed=0)
    assert found["different_families"]["n_points"] == found["same_family"]["n_points"] == 6
    assert len(found["different_families"]["energy"]) == 4  # two ends, two steps
    assert found["held_out"] == {"n": 3, "volume_off": found["held_out"]["volume_off"]}
    assert lines(space, arrays, Samples(walks=3, steps=2), seed=0) == found

    # Its cells are cubic as they are given, so every displaced crystal is taken, and the one that it knows comes back.
    moved = displaced(space, part("test", perovskite("Ba", "Ti", "O", 4.0)), 5, seed=0)
    assert list(moved) == ["0.05", "0.1", "0.2"]
    assert moved["0.05"] == {"n": 1, "encoded": 1.0, "match_rate": 1.0}

    spinels = of_group("Fd-3m", Lattice.cubic(8.08), ["Mg", "Al", "O"], [[1 / 8] * 3, [1 / 2] * 3, [0.2624] * 3])
    table = pd.DataFrame([row(each, "") for each in (spinels, *structures(ARRAYS))])
    monkeypatch.setattr(data, "load", lambda name: Dataset(name, table, DATASETS[name], "hash"))
    known = prepare({**PARTS, "val": part("val", perovskite("Mg", "Al", "O"))}, conventional=False)
    assert other_families(space, known, 10, seed=0)["n"] == 1  # the spinel alone
    assert other_families(space, ARRAYS, 10, seed=0) == {"n": 0, "encoded": None, "match_rate": None}  # Mg, Al unknown


def test_every_atom_is_moved_by_the_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Structure] = []

    class Taking(LatentSpace):
        def encode(self, materials):  # type: ignore[no-untyped-def]
            given.extend(materials)
            return super().encode(materials)

    shipped = checkpoint.load("icsg3d_perov5")
    monkeypatch.setattr(crystal_limits, "DISPLACEMENTS", (0.05, 0.2))
    displaced(Taking(shipped.model, shipped.representation), part("test", perovskite("Ba", "Ti", "O")), 1, seed=0)
    ideal = perovskite("Ba", "Ti", "O")
    for structure, distance in zip(given, (0.05, 0.2), strict=True):
        moved = [site.distance(other) for site, other in zip(structure, ideal, strict=True)]
        assert moved == pytest.approx([distance] * 5)
