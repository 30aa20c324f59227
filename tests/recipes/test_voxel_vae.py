"""The recipe of the voxel VAE at tiny size: what it learns from, and what is measured."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Lattice, Structure

from matgen_core.data import DATASETS, Dataset
from matgen_core.latent.space import Decoded, LatentSpace
from matgen_core.networks.arrays import density
from matgen_core.networks.learning.voxels.voxel_vae import Crystals
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.recipes.shared import crystal_limits
from matgen_core.recipes.voxel_vae import crystals, figures
from tests.support.crystals import RUTILE, rock_salt

LONG = Structure(Lattice.tetragonal(4.0, 19.0), ["Na"], [[0, 0, 0]])
CRYSTALS = {
    "salt": (rock_salt(), 225),
    "rutile": (RUTILE, 136),
    "long": (LONG, 123),
    "other": (rock_salt("K", "F"), 225),
}


def parts() -> dict[str, Dataset]:
    rows = [
        {
            "material_id": name,
            "formula": each.composition.reduced_formula,
            "lattice": each.lattice.matrix.ravel(),
            "numbers": np.array(each.atomic_numbers),
            "frac_coords": each.frac_coords.ravel(),
            "space_group_number": group,
            "formation_energy_per_atom": -1.5,
        }
        for name, (each, group) in CRYSTALS.items()
    ]
    source = DATASETS["mp_structures"]
    return {
        part: Dataset(f"mp_structures/{part}", pd.DataFrame(some), source, "0")
        for part, some in (("train", rows[:3]), ("val", rows[3:]), ("test", rows[:1]))
    }


def test_what_fits_is_put_into_its_reduced_cell_and_what_does_not_is_counted() -> None:
    said: list[str] = []
    arrays = crystals.prepare(parts(), said.append)
    assert arrays.ids == ("salt", "rutile", "other", "salt")
    assert arrays.part.tolist() == [0, 0, 1, 2]
    assert [arrays.families[i] for i in arrays.family.tolist()] == ["cubic", "tetragonal", "cubic", "cubic"]
    assert said == [
        "mp_structures/train: 2 of 3 crystals fit",
        "mp_structures/val: 1 of 1 crystals fit",
        "mp_structures/test: 1 of 1 crystals fit",
    ]
    assert (arrays.species >= 0).sum(1).tolist() == [2, 6, 2, 2]
    layout = crystals.layout(arrays.elements)
    for name, cell in zip(arrays.ids, crystals.structures(arrays), strict=True):
        expected = layout.encode(CRYSTALS[name][0])
        np.testing.assert_allclose(layout.draw(cell), expected, atol=2e-3)


@pytest.mark.parametrize(
    ("first", "last", "name"),
    [
        (1, 2, "triclinic"),
        (3, 15, "monoclinic"),
        (16, 74, "orthorhombic"),
        (75, 142, "tetragonal"),
        (143, 167, "trigonal"),
        (168, 194, "hexagonal"),
        (195, 230, "cubic"),
    ],
)
def test_crystal_systems(first: int, last: int, name: str) -> None:
    assert crystals.crystal_system(first) == crystals.crystal_system(last) == name


def test_volumes_of_atoms_add_up_to_those_of_crystals() -> None:
    rng = torch.Generator().manual_seed(0)
    true = torch.tensor([10.0, 20.0, 35.0])
    species = torch.randint(-1, 3, (300, 6), generator=rng)
    species[:, 0] = species[:, 0].clamp(min=0)
    volume = (true[species.clamp(min=0)] * (species >= 0)).sum(1)
    lattice = volume.pow(1 / 3).view(-1, 1, 1) * torch.eye(3)
    found = crystals.volumes(species, lattice, 4)
    torch.testing.assert_close(found[:3], true, rtol=0.02, atol=0)
    assert 10 < found[3] < 35  # no crystal has it


def test_sites_that_were_read_become_crystals_or_reasons() -> None:
    layout = crystals.layout(("Na", "Cl"))
    cell = layout.standardize(rock_salt())
    good = torch.tensor(cell.frac_coords, dtype=torch.float32)
    lattice = torch.tensor(cell.lattice.matrix, dtype=torch.float32)
    place = torch.tensor([layout.elements.index(site.specie.symbol) for site in cell])
    found = Crystals(
        torch.zeros(3, 5),
        torch.stack([lattice, lattice, 0.1 * lattice]),
        torch.tensor([2, 0, 2]),
        torch.cat([good, good]),
        torch.cat([place, place]),
    )
    made = figures.decoded(found, layout)
    assert made[0].material == cell
    assert "no peak" in made[1].problem
    assert "edges of 0.4" in made[2].problem


def test_every_failure_counts_in_what_comes_back() -> None:
    originals = [rock_salt(), RUTILE, rock_salt("K", "F", 5.3), rock_salt("Rb", "F", 5.6)]
    wrong = rock_salt("Cs", "F", 5.6)
    found = [
        Decoded(np.zeros(1), rock_salt()),
        Decoded(np.zeros(1), problem="nothing there"),
        Decoded(np.zeros(1), wrong),
        Decoded(np.zeros(1), rock_salt("Rb", "F", 5.6)),
    ]
    told = figures.reconstruction(originals, found, list("abcd"), ["cubic", "tetragonal", "cubic", "cubic"])
    rates = {name: rows["match_rate"] for name, rows in told["reconstruction_test"].items()}
    assert rates == pytest.approx({"all": 0.5, "cubic": 2 / 3, "tetragonal": 0.0})
    assert told["same_number_of_sites"] == 0.75
    assert told["same_formula"] == 0.5
    assert told["failures"]["n"] == 2
    assert {"b", "c"} == {row["id"] for row in told["failures"]["worst"]}


class Sees:
    """A network whose latent point is some of the voxels."""

    latent_dim = 12

    def encode(self, x: torch.Tensor) -> Gaussian:
        """Density on a line, and the lattice."""
        z = torch.cat(
            [x[:, 0, 0, 0, ::4], density.lattice_of(x[:, 1:4]).diagonal(dim1=1, dim2=2), x[:, 0, 3:6, 3, 3]], 1
        )
        return Gaussian(z, torch.zeros_like(z))


def test_a_crystal_that_is_written_in_another_way_stays_where_it_is() -> None:
    given = [rock_salt().get_primitive_structure(), RUTILE, rock_salt("K", "F", 5.3).get_primitive_structure()]
    layout = crystals.layout(("Na", "K", "Ti", "Cl", "O", "F"))
    known = np.eye(12, dtype=np.float32) + 3
    told = crystal_limits.invariance(LatentSpace(Sees(), layout), given, known, 0)
    assert set(told) == set(crystal_limits.WAYS)
    for way in told.values():
        assert way["n"] == 3
        assert way["taken"] == 1.0
        assert way["largest"] < 0.01
        assert way["apart"] == 0.0
    as_it_is = replace(layout, setting="as_given")
    told = crystal_limits.invariance(LatentSpace(Sees(), as_it_is), given, known, 0)
    assert told["shifted"]["median"] > 0.01
    assert told["another setting"]["largest"] > 0.1
