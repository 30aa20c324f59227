"""iMatGen: crystals made by substitution, what becomes arrays, and a checkpoint for two elements from end to end."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Element, Lattice, Structure

from matgen_core import checkpoint, data
from matgen_core.data import DATASETS, Dataset
from matgen_core.latent import building
from matgen_core.latent.projection import projections
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.learning.loops import Schedule
from matgen_core.networks.models import MODELS
from matgen_core.networks.potentials import CONVERGED, OUTCOMES
from matgen_core.networks.potentials.remote import RelaxedCells, fingerprint
from matgen_core.recipes import Recipe, make
from matgen_core.recipes.imatgen import data as of_data
from matgen_core.recipes.imatgen import figures
from matgen_core.recipes.imatgen import recipe as of_recipe
from matgen_core.recipes.imatgen.recipe import IMatGenRecipe
from matgen_core.recipes.imatgen.substitution import distances, distinct, niggli, substituted
from matgen_core.recipes.shared.card import render
from matgen_core.representations import REPRESENTATIONS, CellAndBasis
from matgen_core.tasks.exchange import Skeletons, exchanged
from tests.support.tiny import TINY

SITES = {
    "rock salt": ([[0, 0, 0], [0.5, 0.5, 0.5]], Lattice.from_parameters(2.9, 2.9, 2.9, 60, 60, 60)),
    "cesium chloride": ([[0, 0, 0], [0.5, 0.5, 0.5]], Lattice.cubic(2.9)),
    "sphalerite": ([[0, 0, 0], [0.25, 0.25, 0.25]], Lattice.from_parameters(3.1, 3.1, 3.1, 60, 60, 60)),
    "layered": ([[0, 0, 0], [0.5, 0.5, 0.31], [0.5, 0.5, 0.69]], Lattice.tetragonal(2.9, 5.2)),
    "chain": ([[0, 0, 0], [0.5, 0.4, 0.3], [0.1, 0.5, 0.6]], Lattice.orthorhombic(2.8, 4.1, 4.4)),
}
PAIRS = [("Ti", "O"), ("Na", "Cl"), ("Mg", "O"), ("Ti", "S"), ("Zn", "S"), ("K", "F"), ("Ca", "Se"), ("Rb", "Br")]


def table() -> pd.DataFrame:
    """Binary compounds of several kinds, one with three elements, and one with long edges."""
    rows = []
    for a, b in PAIRS:
        for kind, (sites, lattice) in SITES.items():
            size = float(Element(a).atomic_radius + Element(b).atomic_radius) / 2.4
            crystal = Structure(lattice.scale(lattice.volume * size**3), [a, *[b] * (len(sites) - 1)], sites)
            rows.append((f"{kind} of {a}{b}", crystal))
    random = np.random.default_rng(0)
    while len(rows) < 80:
        a, b = PAIRS[1 + len(rows) % 7]
        crystal = Structure(Lattice.orthorhombic(*random.uniform(3, 6, 3)), [a, b, b], random.random((3, 3)))
        if (crystal.distance_matrix + 9 * np.eye(3)).min() > 1.8:
            rows.append((f"random of {a}{b}", crystal))
    rows.append(("three", Structure(Lattice.cubic(4), ["Ca", "Ti", "O"], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]])))
    rows.append(("long", Structure(Lattice.tetragonal(3, 19), ["K", "F"], [[0] * 3, [0.5] * 3])))
    return pd.DataFrame(
        {
            "material_id": [f"mp-{i + 1}" for i in range(len(rows))],
            "kind": [name for name, _ in rows],
            "formula": [crystal.composition.reduced_formula for _, crystal in rows],
            "chemsys": [crystal.composition.chemical_system for _, crystal in rows],
            "lattice": [crystal.lattice.matrix.ravel() for _, crystal in rows],
            "numbers": [np.array([site.specie.Z for site in crystal]) for _, crystal in rows],
            "frac_coords": [crystal.frac_coords.ravel() for _, crystal in rows],
            "nelements": [len(crystal.composition) for _, crystal in rows],
            "nsites": [len(crystal) for _, crystal in rows],
            "volume": [crystal.volume for _, crystal in rows],
            "formation_energy_source": "mp2018",
            "energy_above_hull_2018": np.linspace(0, 0.4, len(rows)),
            "energy_above_hull": [*np.linspace(0, 0.4, len(rows) - 2), 0.0, 0.4],
        }
    )


def test_two_elements_take_the_places_of_all_others_both_ways_round() -> None:
    known = table()
    made = substituted(known, ("Ti", "O"))
    formulas = {each.composition.reduced_formula for each in made.structures}
    assert formulas == {"TiO", "TiO2", "Ti2O"}
    kind = dict(zip(known["material_id"], known["kind"], strict=True))
    assert {kind[name].split(" of ")[1] for name in made.parents} <= {"".join(pair) for pair in PAIRS[1:]}
    # A pair of one kind is the same both ways round, whatever its parent; three atoms are two crystals.
    of_kind = [kind[name].split(" of ")[0] for name in made.parents]
    assert {name: of_kind.count(name) >= 1 for name in SITES} == dict.fromkeys(SITES, True)
    assert max(of_kind.count(name) for name in SITES) < 2 * (len(PAIRS) - 1)
    own = [name for name, told in kind.items() if told.startswith("random")]
    assert {made.parents.count(name) for name in own} == {2}
    crystal = Structure(Lattice.cubic(3), ["Mg", "O"], SITES["cesium chloride"][0])
    larger = exchanged(crystal, {"Mg": "O", "O": "Ti"}, {"Mg": 10.0, "O": 6.0, "Ti": 14.0})
    assert larger.volume == pytest.approx(27 * 20 / 16)
    assert larger.composition.formula == "Ti1 O1"
    with pytest.raises(ValueError, match="no binary compound of Xe in the data"):
        substituted(known, ("Ti", "Xe"))


def test_crystals_are_told_apart_by_their_distances_whatever_their_cell() -> None:
    crystal = niggli(Structure(Lattice.orthorhombic(3, 4, 5), ["Ti", "O", "O"], [[0] * 3, [0.5] * 3, [0.5, 0.1, 0]]))
    shifted, other, moved = crystal.copy(), crystal.copy(), crystal.copy()
    shifted.translate_sites([0, 1, 2], [0.2, 0.3, 0.4])
    shifted.make_supercell([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    moved.translate_sites([1], [0.15, 0, 0])
    other.replace_species({"Ti": "O", "O": "Ti"})
    np.testing.assert_allclose(distances(shifted), distances(crystal), atol=1e-4)
    assert distinct([crystal, shifted, moved, other, crystal], 0.1) == [0, 2, 3]
    assert distinct([crystal, moved], 5.0) == [0]


def relaxed_as_given(cells: Cells, energy: float = -8.5) -> RelaxedCells:
    """What a machine would send back that finds every crystal relaxed, the third one exploded."""
    n = len(cells)
    energies = torch.full((n,), energy, dtype=torch.float64)
    energies[2] = torch.nan
    outcome = torch.full((n,), OUTCOMES.index(CONVERGED))
    outcome[2] = OUTCOMES.index("exploded")
    names = ("7net-0", "7net-l3i5")
    steps = torch.zeros(n).long()
    return RelaxedCells(
        fingerprint(cells),
        names,
        0.1,
        120,
        energies,
        energies.clone(),
        energies.clone(),
        steps,
        outcome,
        ("",) * n,
        cells,
    )


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The table as the installed structures; caches of the test alone; quick maps; relaxations that move nothing."""
    known = table()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(data, "load", lambda name: Dataset(name, known, DATASETS[name], "hash"))
    monkeypatch.setattr(building, "projections", partial(projections, methods=("pca",), n_seeds=1))
    monkeypatch.setattr(of_recipe, "relaxed", lambda cells, *rest: relaxed_as_given(cells))
    return known


def test_known_compounds_are_the_test_and_what_fails_is_counted(installed: pd.DataFrame) -> None:
    found = of_data.candidates(("Ti", "O"))
    assert found.ids[: found.n_known] == [f"mp-{i + 1}" for i in range(len(SITES))]
    assert all(name.startswith("sub-mp-") for name in found.ids[found.n_known :])
    assert len(set(found.ids)) == len(found.ids)
    layout = CellAndBasis(("Ti", "O"))
    arrays, left_out = of_data.arrays_of(found, relaxed_as_given(found.cells), layout, 0, seed=0)
    assert left_out["exploded"] == 1
    assert len(arrays) + sum(left_out.values()) == len(found.ids)
    assert int((arrays.part == 2).sum()) == len(SITES) - 1  # the third one exploded
    assert not set(np.array(arrays.ids)[(arrays.part != 2).numpy()]) & set(found.ids[: found.n_known])
    assert arrays.energy_above_hull.isfinite().all()
    for crystal in of_data.structures(arrays):
        assert layout.decode(layout.draw(crystal)).composition == crystal.composition
    few = of_data.candidates(("Ti", "O"), limit=4, seed=1)
    assert len(few.ids) == few.n_known + 4
    with pytest.raises(ValueError, match="relax them anew"):
        of_data.arrays_of(few, relaxed_as_given(found.cells), layout, 0, seed=0)


def test_other_crystals_are_learned_from_as_if_they_were_of_these_elements(installed: pd.DataFrame) -> None:
    """Calcium and titanium become the metal, oxygen stays; one like a held-out crystal is left out."""
    layout = CellAndBasis(("O", "Ti"))
    others = of_data.others_of(layout, 5, seed=0)
    assert [each["cell"].composition.formula for each in others] == ["Ti2 O1"]
    volumes = Skeletons.installed().volumes
    given = 64 * (2 * volumes["Ti"] + volumes["O"]) / (volumes["Ca"] + volumes["Ti"] + volumes["O"])
    assert others[0]["cell"].volume == pytest.approx(given)
    found = of_data.candidates(("O", "Ti"))
    arrays, _ = of_data.arrays_of(found, relaxed_as_given(found.cells), layout, 5, seed=0)
    assert tuple(name for name in arrays.ids if name.startswith("other-")) == arrays.of_part("other").ids
    assert arrays.of_part("other").ids == ("other-mp-81",)
    assert arrays.of_part("other").energy_above_hull.isnan().all()
    assert len(arrays.of_the_pair()) == len(arrays) - 1
    # The three elements in the places of a held-out crystal become that crystal again.
    layered, cell = SITES["layered"]
    row = installed.index[installed["kind"] == "three"][0]
    installed.at[row, "numbers"] = np.array([20, 8, 9])
    installed.at[row, "lattice"] = cell.matrix.ravel()
    installed.at[row, "frac_coords"] = np.array(layered).ravel()
    assert [each["cell"].composition.formula for each in of_data.others_of(layout, 5, seed=0)] == ["Ti1 O2"]
    arrays, _ = of_data.arrays_of(found, relaxed_as_given(found.cells), layout, 5, seed=0)
    assert len(arrays.of_part("other")) == 0


def test_an_unbelievable_energy_has_no_distance(installed: pd.DataFrame) -> None:
    found = of_data.candidates(("Ti", "O"))
    arrays, _ = of_data.arrays_of(found, relaxed_as_given(found.cells, -30.0), CellAndBasis(("Ti", "O")), 0, seed=0)
    assert arrays.energy_above_hull.isnan().all()


def test_what_was_drawn_is_counted_with_its_failures_and_held_against_the_known() -> None:
    known = Structure(*[SITES["layered"][1], ["Ti", "O", "O"], SITES["layered"][0]])
    other = Structure(*[SITES["chain"][1], ["Ti", "Ti", "O"], SITES["chain"][0]])
    z = np.zeros(3, np.float32)
    samples = [
        of_recipe.Decoded(z, material=known.copy().perturb(0.01)),
        of_recipe.Decoded(z, material=other),
        of_recipe.Decoded(z, problem="two atoms were decoded 0.31 Å apart; 0.5 is the least"),
        of_recipe.Decoded(z, problem="two atoms were decoded 0.22 Å apart; 0.5 is the least"),
    ]
    told = figures.drawing(samples, [known], {"TiO2"}, 3, 1)
    assert (told["n_samples"], told["decode_rate"], told["new_compositions"]) == (4, 0.5, 1)
    assert (told["n_compared"], told["unique"], told["novel"]) == (3, pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert told["failures"] == {"two atoms were decoded Å apart; is the least": 2}
    again = figures.rediscovery([known, other], {"around": samples[:1], "nothing": samples[2:]})
    assert again == {
        "n_known": 2,
        "around": {"n_samples": 1, "found": 1},
        "nothing": {"n_samples": 2, "found": 0},
        "found": 1,
    }
    near = figures.after_relaxation(
        relaxed_as_given(Cells.of(([s.specie.Z for s in x], x.lattice.matrix, x.frac_coords) for x in [known] * 3)),
        {"all": [0, 1, 2], "none": []},
        set(),
    )
    assert (near["all"]["n"], near["all"]["relaxed"]) == (3, 2)  # the third one exploded


BRIEF = replace(TINY["imatgen"], n_elements=2)


def test_another_pair_of_elements_has_a_checkpoint_from_end_to_end(
    installed: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "checkpoints"
    shutil.copytree(checkpoint.root() / "formation_references", folder / "formation_references")
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(folder))
    learner = replace(
        IMatGenRecipe().learner,
        config=BRIEF,
        schedule=Schedule(epochs=2, batch_size=8, learning_rate=1e-3),
        prior=Schedule(epochs=2, batch_size=8, learning_rate=1e-3),
        n_drawn=4,
        n_around=4,
    )
    # Lists name what a checkpoint is there for.
    monkeypatch.setitem(MODELS, "imatgen", "matgen_core.networks.models.voxels.imatgen:IMatGen")
    layout = "matgen_core.representations.voxels.cell_and_basis:CellAndBasis"
    monkeypatch.setitem(REPRESENTATIONS, "cell_and_basis", layout)
    recipe = IMatGenRecipe(learner=learner).of(("Ti", "O"), 100)
    assert isinstance(recipe, Recipe)
    checkpoint.save(make(recipe, "cpu"), folder / recipe.name)
    made = checkpoint.load("imatgen_tio")
    assert made.representation.elements == ("Ti", "O")
    assert made.metrics["rebuilt"]["all"]["n"] == len(made.index)
    assert set(made.index["origin"]) == {"known", "substituted"}
    assert made.metrics["images_alone"]["share"] > 0.8  # of a grid half as fine as the shipped one
    assert made.metrics["labels"]["n"] == len(SITES) - 1
    assert set(made.metrics["after_relaxation"]) == {"between", "around", "learned_prior"}
    config, metrics = checkpoint.documents("imatgen_tio")
    assert "Ti and O" in render("imatgen_tio", config, metrics)
    again = recipe.evaluate(made)
    assert json.loads(json.dumps(again["data"])) == metrics["data"]
