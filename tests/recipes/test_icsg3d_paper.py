"""The recipe of the published iCSG3D at tiny size: what is decoded, measured and written."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from matgen_core.checkpoint import Checkpoint, load, save
from matgen_core.latent.space import LatentSpace
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.learning.loops import Schedule
from matgen_core.networks.learning.voxels import icsg3d_paper
from matgen_core.networks.learning.voxels.icsg3d_paper import Elements
from matgen_core.networks.learning.voxels.points import Samples
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.networks.models.voxels.icsg3d_paper import ICSG3DPaper, ICSG3DPaperConfig
from matgen_core.recipes.icsg3d_paper.recipe import ICSG3DPaperRecipe, boxes, elements_of
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.crystal_measures import measured
from matgen_core.recipes.shared.cubic import structures
from matgen_core.recipes.shared.runs import without_nan

ELEMENTS = ("Cs", "Na", "Ti", "Cl", "Br", "O")
N = Samples(round_trips=5, walks=2, steps=3, prior=7, covered=0, around=10, per_class=2)
RECIPE = ICSG3DPaperRecipe(samples=N, n_index=2)
CONFIG = ICSG3DPaperConfig(
    n_elements=6, grid=16, latent_dim=6, condition_edges=(-1.0, -0.3), channels=(5, 7), unet_channels=(6, 9), beta=0.3
)


def arrays(n: int = 12) -> CrystalArrays:
    """Pairs and cells of five sites in turn, each of another formula or edge."""
    places = torch.tensor([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    species = torch.full((n, 5), -1)
    for i in range(n):
        species[i, :2] = torch.tensor([i % 3, 3 + i // 3 % 2])
        if i % 2:
            species[i, 2:] = 5
    return CrystalArrays(
        elements=ELEMENTS,
        families=("pair", "five"),
        ids=tuple(f"crystal-{i}" for i in range(n)),
        codes=torch.zeros(6, 2),
        frac_coords=places.expand(n, 5, 3) * (species >= 0).unsqueeze(-1),
        species=species,
        edge=torch.linspace(4.0, 5.1, n),
        formation_energy_per_atom=torch.tensor([-2.0, -0.5, float("nan")]).repeat(n)[:n],
        family=torch.arange(n) % 2,
        part=torch.tensor([0, 2, 1, 2, 0, 2, 2]).repeat(n)[:n],
    )


def network(config: ICSG3DPaperConfig = CONFIG) -> ICSG3DPaper:
    torch.manual_seed(3)
    return ICSG3DPaper(config).eval()


class Perfect(ICSG3DPaper):
    """Encodes every crystal as its edge, and decodes the true box of the nearest edge."""

    def remember(self, data: CrystalArrays) -> "Perfect":
        x, labels = icsg3d_paper.draw(data, elements_of(boxes(data, conventional=False)), 32)
        self.true = torch.cat([x, labels.unsqueeze(1), labels.unsqueeze(1) > 0], 1)
        self.edges, self.asked = data.edge, []
        return self

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Gaussian:
        edge = x[:, 1, -1, 0, 0] / (31 / 32 * 1.5)
        z = edge.unsqueeze(1).expand(-1, self.latent_dim)
        return Gaussian(z, torch.zeros_like(z))

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        self.asked.append(condition)
        return self.true[(z[:, :1] - self.edges).abs().argmin(1)]


def test_every_crystal_keeps_its_place_and_only_the_conditioned_are_asked_for() -> None:
    data = arrays()
    model = Perfect(replace(CONFIG, grid=32)).remember(data).eval()
    layout = boxes(data, conventional=False)
    chosen = RECIPE.map_rows(data)
    assert [data.part[chosen].tolist().count(part) for part in range(3)] == [2, 2, int((data.part == 2).sum())]
    found = RECIPE.judged(model, layout, data, chosen)
    for name, rows in (("index", torch.from_numpy(chosen)), ("test", data.part == 2)):
        expected = structures(data.select(rows))
        assert [item.material.formula for item in found[name]] == [structure.formula for structure in expected]
        lengths = [item.material.lattice.a for item in found[name]]
        np.testing.assert_allclose(lengths, [structure.lattice.a for structure in expected], rtol=1e-3)
    assert {name: len(items) for name, items in found.items() if name not in ("index", "test")} == {
        "same_family": 6,
        "different_families": 6,
        "standard_normal": 7,
        "around_known_crystals": 10,
        "around_known_crystals_close": 10,
        "conditioned": 6,
        "unconditioned": 6,
    }
    asked = [condition for condition in model.asked if condition is not None]
    assert [condition.argmax(1).tolist() for condition in asked] == [[0, 0, 1, 1, 2, 2]]


def test_what_comes_back_is_measured_and_the_card_says_it() -> None:
    data = arrays()
    model = Perfect(replace(CONFIG, grid=32)).remember(data).eval()
    layout = boxes(data, conventional=False)
    found = RECIPE.judged(model, layout, data, RECIPE.map_rows(data))
    figures = measured(model.config, layout, data, found, N, seed=0)
    assert figures["reconstruction_test"]["all"]["n_samples"] == int((data.part == 2).sum())
    assert figures["reconstruction_test"]["all"]["match_rate"] == 1
    assert set(figures["reconstruction_test"]) == {"all", "pair", "five"}
    assert figures["round_trip_without_network"]["match_rate"] == 1
    assert figures["coverage"] is None
    assert set(figures["generation"]) == {
        "standard_normal",
        "around_known_crystals",
        "around_known_crystals_close",
    }


def test_failures_count_and_the_card_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """An untrained network is sure of no voxel: every rate is 0 over all samples."""
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))  # neither a judge nor a model to stand beside
    data, model = arrays(), network()
    layout = boxes(data, conventional=False, grid=16)
    figures = measured(model.config, layout, data, RECIPE.judged(model, layout, data, RECIPE.map_rows(data)), N, seed=0)
    assert figures["reconstruction_test"]["all"]["match_rate"] == 0
    assert figures["failures"]["n"] == int((data.part == 2).sum())
    assert (
        figures["generation"]["standard_normal"]["n_samples"],
        figures["generation"]["standard_normal"]["valid"],
    ) == (7, 0)
    assert "cgcnn_energy" in figures["condition"]["problem"]
    run = {"epoch": 3, "seconds": 66.0, "squared": 1.0, "perceptual": 1.0, "segmentation": 1.0, "kl": 1.0}
    figures |= {
        "training": run | {"voxels_right": 0.25},
        "round_trip_without_network_perov5": figures["round_trip_without_network"] | {"match_rate": 0.375, "n": 8},
    }
    figures |= {"maps": {"n_points": 1, "n_neighbors": 1, "n_seeds": 1, "maps": {}}}
    made = {"title": "Some", "recipe": "icsg3d_paper", "seed": 0, "datasets": {"mp_structures/train": "0"}}
    made |= {"rows": {"mp_structures/train": 3}, "settings": {"schedule": {"learning_rate": 0.1, "batch_size": 2}}}
    card = with_card(Checkpoint("x", "icsg3d_paper", model, layout, without_nan(figures), "", made)).card
    assert "3 epochs in 1.1 min" in card
    assert "not present" in card
    assert "37.5% of 8 test crystals of Perov-5" in card
    assert f"{sum(weight.numel() for weight in model.unet.parameters()):,} of the U-Net" in card
    json.dumps(without_nan(figures), allow_nan=False)


def test_a_trained_network_is_read_and_serves_as_a_checkpoint(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = arrays()
    layout = boxes(data, conventional=False, grid=16)
    schedule = Schedule(epochs=2, batch_size=4, learning_rate=1e-3)
    model, _ = icsg3d_paper.train(data, elements_of(layout), CONFIG, schedule, "cpu", tmp_path / "run")
    read = icsg3d_paper.read_run(tmp_path / "run")
    assert read.config == model.config
    assert read.config.n_elements == 6
    assert not read.training
    z = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(read.draw(z), model.eval().draw(z), rtol=0.02, atol=0.02)  # stored in float16
    made = Checkpoint(
        "paper",
        "icsg3d_paper",
        read,
        layout,
        metrics={},
        card="",
        provenance={"title": "paper", "system": "none", "level": "structure"},
        precision="float16",
    )
    save(made, tmp_path / "paper")
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    space = LatentSpace.of(load("paper"))
    assert space.representation.elements == ELEMENTS
    np.testing.assert_array_equal(space.representation.radii, layout.radii)
    points = space.sample(3, seed=0)
    for condition in (None, space.condition_of({"formation_energy_per_atom": -0.5}, 3)):
        assert [item.material is None for item in space.decode(points, condition)] == [
            item.problem is not None for item in space.decode(points, condition)
        ]


def test_elements_are_those_of_the_layout() -> None:
    layout = boxes(arrays(), conventional=True)
    found = elements_of(layout)
    assert isinstance(found, Elements)
    assert found.numbers.tolist() == [55, 11, 22, 17, 35, 8]
    assert layout.setting == "cubic"
    assert layout.max_sites == 5
