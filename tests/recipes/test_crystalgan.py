"""What CrystalGAN learns from, what it is held against, and what is counted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Lattice, Structure

from matgen_core.data import DATASETS, Dataset
from matgen_core.networks.arrays.hydrides import BINARY, FRAMEWORK, TERNARY
from matgen_core.networks.arrays.splits import TEST, TRAIN
from matgen_core.networks.models.crystalgan import in_slots
from matgen_core.networks.potentials.remote import RelaxedCells, fingerprint
from matgen_core.recipes.crystalgan import figures, hydrides
from matgen_core.recipes.crystalgan.figures import Rows
from tests.support.hydrides import MGH2, MGTIH4, TIH2, arrays, dihydride, known, ordered, translator

LARGE = Structure(Lattice.cubic(20), ["Ti"] * 30 + ["H"] * 30, np.random.default_rng(0).random((60, 3)))
TABLE = {
    "a": (MGH2, 0.1),
    "b": (TIH2, 0.0),
    "c": (MGTIH4, 0.06),
    "d": (ordered("Mg", "Zr", 4.8), 0.2),
    "e": (dihydride("Zr", 4.8), 0.0),
    "f": (ordered("Y", "Ti", 4.8), 0.5),  # far above the hull
    "g": (LARGE, 0.0),
    "h": (dihydride("Y", 5.2) * (2, 1, 1), 0.0),
}


def dataset() -> Dataset:
    rows = [
        {
            "material_id": name,
            "lattice": each.lattice.matrix.ravel(),
            "numbers": np.array(each.atomic_numbers),
            "frac_coords": each.frac_coords.ravel(),
            "nsites": len(each),
            "nelements": len(each.composition),
            "energy_above_hull": energy,
        }
        for name, (each, energy) in TABLE.items()
    ]
    return Dataset("mp_metal_hydrides", pd.DataFrame(rows), DATASETS["mp_metal_hydrides"], "0")


def test_known_hydrides_are_taken_in_primitive_cells_and_the_papers_pair_is_held_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hydrides, "dataset", dataset)
    found = hydrides.known(0)
    assert found.ids == ["a", "b", "c", "d", "e", "f", "h"]
    assert [len(each) for each in found.structures] == [3, 3, 6, 6, 3, 6, 3]
    assert found.held_out[2]
    assert found.of("Ti", "Mg") == [2]
    assert found.of("Mg") == [0]
    laid_out = hydrides.arrays(replace(found, held_out=np.array([each == "c" for each in found.ids])))
    assert [laid_out.ids[row] for row in laid_out.rows(BINARY, TRAIN).tolist()] == ["a", "b", "e", "h"]
    assert [laid_out.ids[row] for row in laid_out.rows(TERNARY, TRAIN).tolist()] == ["d"]
    assert [laid_out.ids[row] for row in laid_out.rows(TERNARY, TEST).tolist()] == ["c"]
    place = {metal: 1 + i for i, metal in enumerate(laid_out.metals)}
    assert sorted([place["Mg"], place["Ti"]]) in [sorted(row) for row in laid_out.forbidden.tolist()]


def test_arrays_hold_the_crystals_and_what_is_known_of_their_elements() -> None:
    found = arrays()
    assert found.properties.shape == (1 + len(found.metals), len(hydrides.PROPERTIES))
    torch.testing.assert_close(found.properties[1:].mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    volume = dict(zip(found.metals, found.volumes[1:].tolist(), strict=True))
    assert volume["Y"] > volume["Mg"] > volume["Ti"]
    assert (found.alike == found.alike.T).all()
    place = {metal: 1 + i for i, metal in enumerate(found.metals)}
    assert found.alike[place["Ti"], place["Zr"]] == 1
    assert found.alike[place["Ti"], place["Ti"]] == 0
    home = [{found.metals[int(found.species[row].max()) - 1], found.ids[row]} for row in found.home.tolist()]
    assert home == [{"Mg", "MgH2"}] * 2 + [{"Ti", "TiH2"}] * 2
    assert (found.role[found.home] == FRAMEWORK).all()
    n_metals = (found.species[found.home] > 0).sum(1)
    assert n_metals.tolist() == [4, 8, 4, 8]


def test_other_metals_take_the_places_and_the_volume() -> None:
    found = arrays()
    own = found.own_metals()
    (row,) = [row for row in found.rows(TERNARY, TRAIN).tolist() if found.ids[row] == "MgZrH4"]
    rows = torch.tensor([row])
    symbols = [found.metals[k - 1] for k in own[row].tolist()]
    new = torch.tensor([[1 + found.metals.index({"Mg": "Y", "Zr": "Ti"}[s]) for s in symbols]])
    sites = found.with_metals(rows, new, own[rows])
    assert sites.kinds.sum(1).tolist() == [[4, 1, 1]]
    before = (found.volumes[found.species[row].clamp(min=0)] * (found.species[row] >= 0)).sum()
    after = 4 * found.volumes[0] + found.volumes[new[0]].sum()
    grown = torch.linalg.det(sites.lattice).abs() / torch.linalg.det(found.lattice[rows]).abs()
    torch.testing.assert_close(grown, (after / before)[None])


def test_what_needs_no_network_has_the_metals_and_their_volumes() -> None:
    found = known()
    volumes = figures.volumes_of(arrays())
    for made in (
        figures.prototypes(found, arrays(), ("Mg", "Ti"), 12, 0),
        figures.half_replaced(found, arrays(), ("Mg", "Ti"), 12, 0),
    ):
        assert len(made) == 12
        for each in made:
            assert each is not None
            assert {str(e) for e in each.composition} == {"Mg", "Ti", "H"}
            usual = sum(volumes[site.specie.symbol] for site in each)
            assert each.volume == pytest.approx(usual, rel=0.2)
    counts = [each.composition.get_el_amt_dict() for each in made if each is not None]
    assert all(abs(each["Mg"] - each["Ti"]) <= 1 for each in counts)
    assert len({sum(each.values()) for each in counts}) > 2


def test_tries_of_the_network_are_shared_out_among_pairs_of_binaries() -> None:
    made = figures.translated(translator(), known(), ("Mg", "Ti"), 16, 0)
    assert len(made) == 16
    assert all(each is not None and figures.is_ternary(each) for each in made)


def test_published_points_are_read_and_what_is_no_crystal_keeps_its_place() -> None:
    found = arrays()
    rows = torch.tensor([row for row in found.rows(TERNARY, TRAIN).tolist() if found.ids[row] == "MgZrH4"])
    own = found.own_metals()
    points = in_slots(found.with_metals(rows, own[rows], own[rows]), (8, 8, 18))
    broken = points.clone()
    broken[:, 0] = 0.01
    made = figures.decoded(torch.cat([points, broken]), ("Mg", "Ti"), translator())
    assert made[0] is not None
    assert made[0].composition.get_el_amt_dict() == {"Mg": 1, "Ti": 1, "H": 4}
    assert made[1] is None


TIGHT = MGTIH4.copy()
TIGHT.scale_lattice(0.15 * MGTIH4.volume)


def test_what_is_good_by_the_paper_is_counted_beside_what_is_sound() -> None:
    near = MGTIH4.copy()
    near.scale_lattice(0.7 * MGTIH4.volume)  # metal atoms 2.9 Å apart: within both limits
    close = near.copy()
    close.translate_sites([2], [0.0, 0.0, -0.24])  # hydrogen runs into a metal atom: the paper does not look
    counted = figures.counted([MGTIH4, near, close, TIGHT, None, MGH2, MGTIH4 * (2, 1, 1)])
    assert counted["n"] == 7
    assert counted["good"] == 4
    assert counted["good_within_3"] == 2
    assert counted["sound"] == 2  # the tight one has a volume that no crystal has
    assert counted["different_sound"] == 1
    assert figures.found_among([MGTIH4, ordered("Mg", "Zr", 4.8)], [None, MGH2, near]) == 1


def test_all_tries_are_in_the_denominator_after_relaxing() -> None:
    """Energies are set, so that one try lies below 0.1 eV/atom, one above; one was not relaxed, one is no crystal."""
    from matgen_core import checkpoint
    from matgen_core.checks.physics.energies import Energy, FormationEnergies

    made = Rows({"Mg-Ti-H": {"translated": [MGTIH4, ordered("Mg", "Ti", 4.7), None, ordered("Ti", "Mg", 4.5)]}})
    cells, places = made.cells()
    assert places == {("Mg-Ti-H", "translated", 0): 0, ("Mg-Ti-H", "translated", 1): 1, ("Mg-Ti-H", "translated", 3): 2}
    energies = FormationEnergies(checkpoint.load("formation_references"))
    at_zero = energies.stability(MGTIH4, Energy("7net-l3i5", 0.0)).distance
    assert at_zero is not None
    wanted = torch.tensor([0.05, 0.15, float("nan")], dtype=torch.float64) - at_zero
    # a formation energy is the potential's less a shift for each composition, and all three have one
    relaxed = RelaxedCells(
        given=fingerprint(cells),
        potentials=("7net-0", "7net-l3i5"),
        max_force=0.1,
        max_steps=5,
        energy=wanted,
        start_energy=wanted + 0.25,
        second_energy=wanted,
        steps=torch.tensor([3, 3, 0]),
        outcome=torch.tensor([0, 0, 1]),
        reasons=("", "", "exploded"),
        cells=cells,
    )
    found = figures.judged(made, places, relaxed, replace(known()))["Mg-Ti-H"]["translated"]
    assert (found["n"], found["relaxed"], found["within_01"], found["within_02"]) == (4, 2, 1, 2)
    assert found["released"] == pytest.approx(0.25)
    assert found["median_distance"] == pytest.approx(0.1, abs=1e-4)
    assert (found["known"], found["found"], found["found_relaxed"]) == (1, 1, 1)
    assert found["different_within_01"] == 1


def test_held_out_compounds_are_looked_for_in_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MORE_TRIES", 14)
    found = figures.rediscovery(translator(), known(), arrays(), 0)
    assert set(found["systems"]) == {"Mg-Ti"}
    assert found["known"] == 1
    assert found["prototypes"] == 1  # MgZrH4 with titanium in the place of zirconium
    assert all(0 <= found[way] <= 1 for way in ("translated", "half_replaced"))


def test_the_papers_limits_are_held_against_known_crystals() -> None:
    found = figures.criterion_on_known(known())
    assert found["all"]["n"] == 4
    assert found["all"]["not_too_near"] == 1
    assert found["Mg-Ti-H"]["not_too_far"] == 0  # its metal atoms are 3.25 Å apart
