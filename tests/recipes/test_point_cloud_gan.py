"""The point-cloud GANs: what is learned from, what is judged, what counts as good, and a checkpoint from end to end."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Composition, Lattice, Structure

from matgen_core import checkpoint
from matgen_core.latent import building
from matgen_core.latent.map import LatentMap
from matgen_core.latent.projection import projections
from matgen_core.latent.space import Decoded
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.models.clouds.point_cloud_gan import PointCloudGANConfig
from matgen_core.networks.potentials import CONVERGED, OUTCOMES
from matgen_core.networks.potentials.remote import RelaxedCells, fingerprint
from matgen_core.recipes import Recipe, make, recipe_for
from matgen_core.recipes.point_cloud_gan import figures
from matgen_core.recipes.point_cloud_gan import recipe as of_recipe
from matgen_core.recipes.point_cloud_gan.baselines import Baselines
from matgen_core.recipes.point_cloud_gan.data import Rule, candidates, cells_of, judged, learned, reduced, structures
from matgen_core.recipes.point_cloud_gan.figures import Asked, Reference, Volumes
from matgen_core.representations import PointCloud
from tests.support.rows import each_row

LAYOUT = PointCloud(("Mg", "Mn", "O"), (3, 3, 6))
RULE = Rule((2, None, -2), 2, 4)


def crystal(counts: tuple[int, int, int], seed: int, volume: float = 12.0) -> Structure:
    """Atoms on the places of a coarse grid, so that none come near."""
    rng = np.random.default_rng(seed)
    species = [symbol for symbol, n in zip(LAYOUT.elements, counts, strict=True) for symbol in [symbol] * n]
    places = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)[rng.permutation(27)[: len(species)]] / 3
    lattice = Lattice.from_parameters(*rng.uniform(4, 6, 3), *rng.uniform(75, 105, 3))
    return Structure(lattice.scale(volume * len(species)), species, places)


def table(n: int = 36) -> pd.DataFrame:
    kinds = [(1, 1, 2), (1, 2, 4), (2, 1, 3), (1, 1, 3), (2, 2, 5), (3, 1, 4)]
    crystals = [crystal(kinds[i % 6], i) for i in range(n)]
    return pd.DataFrame(
        {
            "template": [f"mp-{i % 5}" for i in range(n)],
            "lattice": [each.lattice.matrix.ravel() for each in crystals],
            "numbers": [np.array([site.specie.Z for site in each]) for each in crystals],
            "frac_coords": [each.frac_coords.ravel() for each in crystals],
        }
    )


def test_candidates_are_those_whose_charges_the_rule_allows() -> None:
    found = candidates((8, 8, 12), RULE)
    assert len(found) == 139
    assert found[0] == (1, 1, 2)
    assert {(1, 2, 4), (2, 1, 4), (1, 4, 8), (1, 1, 3)} <= set(found)
    assert not {(1, 1, 4), (2, 1, 2), (2, 2, 4), (1, 8, 13)} & set(found)  # +6, 0, no reduced one, too many atoms
    assert all(RULE.holds(cell) for cell in cells_of((1, 2, 4), (8, 8, 12)))
    assert cells_of((1, 2, 4), (8, 8, 12)) == [(1, 2, 4), (2, 4, 8), (3, 6, 12)]
    published = [(1, 2, 4)] * 3 + [(1, 1, 2)] + [(1, 4, 8)] * 3 + [(2, 1, 2)] * 9
    known, new = judged((8, 8, 12), replace(RULE, n_known=2, n_new=3), published)
    assert known == [(1, 2, 4), (1, 4, 8)]
    assert new == [(1, 1, 3), (1, 2, 3), (2, 1, 3)]


def test_crystals_are_learned_in_reduced_cells_and_whole_compositions_are_held_out() -> None:
    rows = table()
    long = Structure(Lattice.orthorhombic(4, 4, 9), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    skewed = long.copy()
    skewed.make_supercell([[1, 0, 0], [0, 1, 0], [2, 1, 1]])
    extra = [skewed, Structure(long.lattice, ["Fe", "O"], long.frac_coords), crystal((3, 3, 6), 99)]
    for each in [*extra, Structure(long.lattice, ["Mg"] * 4, np.arange(12).reshape(4, 3) / 12)]:
        numbers = np.array([site.specie.Z for site in each])
        rows.loc[len(rows)] = ["", each.lattice.matrix.ravel(), numbers, each.frac_coords.ravel()]
    found = learned(rows, LAYOUT, [(1, 1, 2), (1, 0, 1)], 2, seed=1)
    arrays = found.arrays
    assert sum(found.left_out.values()) == 2
    assert {reason.split()[0] for reason in found.left_out} == {"no", "Mg4"}
    assert len(arrays) == 38
    assert len(set(arrays.ids)) == 38
    of_part = {part: {reduced(tuple(row)) for row in arrays.of_part(part).counts.tolist()} for part in ("train", "val")}
    assert len(of_part["val"]) == 2
    assert not of_part["val"] & of_part["train"]
    assert (1, 1, 2) in of_part["train"]
    back = structures(arrays)
    assert back[36].lattice.abc == pytest.approx((4, 4, 9), abs=1e-4)
    for row, each in zip(rows.to_dict("records"), back[:36], strict=False):
        assert len(each) == len(row["numbers"])
        assert each.volume / len(each) == pytest.approx(12.0, rel=1e-4)
    n = {tuple(row): (arrays.counts == torch.tensor(row)).all(1).sum() for row in arrays.counts.tolist()}
    for row, weight in zip(arrays.counts.tolist(), arrays.weight.tolist(), strict=True):
        assert weight == pytest.approx(float(n[tuple(row)]) ** -0.5)
    with pytest.raises(ValueError, match="no crystal of the data fits the slots of Li F: no slots for"):
        learned(rows, PointCloud(("Li", "F"), (1, 1)), (), 0, 0)


def test_good_is_whole_at_the_right_volume_with_the_composition() -> None:
    real = Volumes(12.0, 1.0)
    good = crystal((1, 1, 2), 1)
    close = Structure(good.lattice, good.species, [[0, 0, 0], [0.5, 0.5, 0.5], [0.05, 0, 0], [0, 0.5, 0]])
    # One site a cell, and that cell is flat: only its own images are near.
    alone = Structure(Lattice.orthorhombic(0.9, 3.6, 3.7), ["O"], [[0, 0, 0]])
    samples = [good, close, crystal((1, 1, 2), 1, volume=70), crystal((1, 2, 4), 3), alone, None]
    found = figures.looked_at(
        [Decoded(np.zeros(1), material=each, problem=None if each else "flat 3 cell") for each in samples],
        [(1, 1, 2)] * 4 + [(0, 0, 1), (1, 1, 2)],
        LAYOUT.elements,
        real,
    )
    assert found["good"].tolist() == [True, False, False, False, False, False]
    assert found["whole"].tolist() == [True, False, True, True, False, False]
    assert found["fits"].tolist() == [True, True, False, True, True, False]
    assert found["obeys"].tolist() == [True, True, True, False, True, False]
    asked = Asked(((1, 1, 2), (2, 1, 4)), 1, 3)
    told = figures.shares(found, asked)
    assert told["all"]["good"] == pytest.approx(1 / 6)
    assert told["known"]["good"] == pytest.approx(1 / 3)
    assert told["new"]["good"] == 0
    assert figures.problems([Decoded(np.zeros(1), problem=f"flat {n} cell") for n in (3, 4)]) == {"flat cell": 2}


def test_baselines_obey_the_composition_and_only_the_templates_know_places() -> None:
    training = learned(table(), LAYOUT, (), 0, 0).arrays
    baselines = Baselines(training, anion=2)
    cells = [(1, 1, 2), (2, 1, 4), (2, 2, 5), (1, 2, 6)]
    for name, way in baselines.ways.items():
        made = way(cells, 4)
        there = [each.material for each in made]
        assert [each is not None for each in there] == [True, True, True, name != "templates"]
        for counts, each in zip(cells, there, strict=True):
            if each is not None:
                assert LAYOUT.counts(each.composition) == counts
        again = way(cells, 4)
        assert all(a.material == b.material for a, b in zip(made, again, strict=True))
        volume = there[0].volume / len(there[0])
        assert volume == pytest.approx(72 if name == "inflated" else 12, rel=0.01)
    oxygen = [site.frac_coords for site in baselines.templates([(2, 1, 4)], 0)[0].material if site.specie.symbol == "O"]
    parents = [
        [site.frac_coords for site in each if site.specie.symbol == "O"]
        for each in structures(training)
        if LAYOUT.counts(each.composition) == (1, 2, 4)
    ]
    assert any(np.allclose(oxygen, parent) for parent in parents)
    dealt = {str(baselines.templates([(2, 1, 4)], seed)[0].material.species) for seed in range(12)}
    assert len(dealt) > 1


def relaxed_as_given(cells: Cells, energy: float = -7.0) -> RelaxedCells:
    """What a machine sends back that finds every crystal relaxed already, by potentials that have references."""
    n = len(cells)
    energies = torch.linspace(energy, energy + 0.3, n, dtype=torch.float64)
    return RelaxedCells(
        fingerprint(cells), ("7net-0", "7net-l3i5"), 0.1, 120, energies, energies.clone(), energies.clone(),
        torch.zeros(n, dtype=torch.int64), torch.full((n,), OUTCOMES.index(CONVERGED)), ("",) * n, cells,
    )  # fmt: skip


def test_relaxed_crystals_are_counted_near_the_hull_once_each() -> None:
    one = Structure(
        Lattice.tetragonal(2.9, 5.5), ["Mg", "Mn", "O", "O"], [[0] * 3, [0, 0, 0.5], [0.5] * 3, [0.5, 0.5, 0]]
    )
    other = Structure(Lattice.cubic(3.6), one.species, [[0] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0.2, 0.6, 0.5]])
    twin = one.copy()
    twin.translate_sites(list(range(4)), [0.2, 0.1, 0.4])
    crystals = [one, twin, other, None, crystal((1, 2, 4), 3), one]
    above = np.array([0.05, 0.051, 0.06, np.nan, 0.15, 0.19])
    asked = Asked(((1, 1, 2), (1, 2, 4)), 1, 4)
    chosen = np.array([0, 1, 2, 3, 4, 5])
    reference = Reference([], [other])
    found = figures.near_hull(crystals, above, asked, chosen, LAYOUT.elements, reference, {(1, 1, 2): 0.03})
    known = found["known"]
    assert (known["n"], known["relaxed"]) == (4, 3)
    assert known["within_200"] == {"samples": 3, "share": 0.75, "different": 2, "different_and_new": 1}
    assert known["within_80"]["samples"] == 3
    both = figures.near_hull(crystals, above, asked, chosen, LAYOUT.elements, Reference([], []), {})["known"]
    assert both["within_200"]["different_and_new"] == 2
    # The same crystal, but of another energy: something else has become of it.
    assert found["new"]["within_200"]["different"] == 2
    assert found["new"]["within_80"]["samples"] == 0
    assert found["by_composition"]["MgMnO2"] == {
        "n": 4,
        "least": 0.05,
        "least_known": 0.03,
        "within_200": 3,
        "within_80": 3,
    }
    assert found["by_composition"]["MgMn2O4"]["n"] == 2


TINY = PointCloudGANConfig(
    noise_dim=4, width=16, heads=2, blocks=1, rounds=1, critic=12, critic_layers=1, n_shells=6, channels=4, n_features=5
)


def test_crystals_of_ones_own_have_a_checkpoint_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "checkpoints"
    shutil.copytree(checkpoint.root() / "formation_references", folder / "formation_references")
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(folder))
    monkeypatch.setattr(building, "projections", partial(projections, methods=("pca",), n_seeds=1))
    monkeypatch.setattr(of_recipe, "relaxed", lambda cells, *rest: relaxed_as_given(cells))
    (tmp_path / "data").mkdir()
    table().drop(columns="template").to_parquet(tmp_path / "My oxides.parquet")
    recipe = recipe_for("point_cloud_gan", "Mg Mn O", "3,3,6", None, tmp_path / "My oxides.parquet")
    assert recipe.name == "point_cloud_gan_mgmno_my_oxides"
    assert isinstance(recipe, Recipe)
    learner = replace(
        recipe.learner,
        config=TINY,
        looked_at=8,
        adversarial=replace(recipe.learner.adversarial, steps=2, batch_size=6, report_every=1),
    )
    recipe = replace(recipe, learner=learner, n_each=4, n_relaxed=6, n_told_apart=2, n_baseline=1, n_bank=24)
    checkpoint.save(make(recipe, "cpu"), folder / recipe.name)
    made = checkpoint.load(recipe.name)
    assert made.representation.slots == (3, 3, 6)
    assert set(made.index["split"]) == {"generated", "train"}
    assert made.metrics["samples"]["all"]["obeys"] == made.metrics["samples"]["all"]["decoded"]
    assert set(made.metrics["without_a_network"]) == {"templates", "random", "inflated"}
    assert made.metrics["after_relaxation"]["samples"]["all"]["n"] == 6
    assert "## Known failures" in made.card
    space = LatentMap(made)
    drawn = space.decode(space.z[space.has_point])
    assert [each.material.composition.reduced_formula for each in drawn] == made.index["formula"][
        space.has_point
    ].tolist()
    assert checkpoint.summary(recipe.name)["capabilities"] == ["decode", "compose"]
    asked = space.decode(space.sample(3, 0), space.cells(Composition("Mg2MnO4"), 3, 0))
    assert {each.material.composition.reduced_formula for each in asked} == {"Mg2MnO4"}
    again = recipe.evaluate(made)
    assert json.loads(json.dumps(again["samples"])) == made.metrics["samples"]


@each_row(
    ("given", "words"),
    [
        (
            ("icsg3d", "Mg O", "2 2"),
            "icsg3d takes no --elements, --slots and --crystals; imatgen and point_cloud_gan do",
        ),
        (("point_cloud_gan", "Mg O", ""), "takes --elements Mg Mn O --slots 8 8 12 --data FILE, all three"),
        (("point_cloud_gan", "", "8 8"), "all three"),
        (("point_cloud_gan", "Mg O", "8 x"), "--slots 8 x: expected whole numbers, one an element"),
        (("point_cloud_gan", "Mg O", "8 -1"), "expected whole numbers"),
        (("point_cloud_gan", "Mg O", "8"), "2 elements with 1 numbers of slots"),
        (("point_cloud_gan", "Mg Xx", "8 8"), "'Xx' is no element"),
        (("point_cloud_gan", "Mg Mg", "8 8"), "an element stands twice"),
        (("point_cloud_gan", "Mg O", "8 0"), "slots for O 0"),
        (("point_cloud_gan", "Mg O", "8 8"), "nothing.cif: no such file or folder"),
    ],
)
def test_what_is_no_recipe_is_refused(given, words) -> None:
    with pytest.raises(ValueError, match=words):
        recipe_for(*given, None, Path("nothing.cif"))
    with pytest.raises(ValueError, match=r"all three|takes no|'Xx' is no element"):
        recipe_for(*given, None, None)


@each_row(
    ("elements", "slots", "crystals", "words"),
    [
        ("", "", None, "takes two elements and no slots"),
        ("V", "", None, "takes two elements"),
        ("V O O", "", None, "takes two elements"),
        ("V V", "", 200, "takes two elements"),
        ("V O", "8 8", None, "no slots"),
        ("V Xx", "", None, "'Xx' is no element"),
        ("V O", "", 99, "expected 100 or more"),
    ],
)
def test_what_is_no_pair_is_refused(elements, slots, crystals, words) -> None:
    with pytest.raises(ValueError, match=words):
        recipe_for("imatgen", elements, slots, crystals, None)
    assert recipe_for("imatgen", "Ti,O", "", 200, None).name == "imatgen_tio"
    with pytest.raises(ValueError, match="no --crystals"):
        recipe_for("point_cloud_gan", "Mg O", "8 8", 200, Path("nothing.cif"))
