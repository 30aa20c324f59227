"""iMatGen at tiny size: images there and back, what training changes, and a run from beginning to end."""

import json
from dataclasses import replace

import pytest
import torch

from matgen_core.networks.arrays import basis
from matgen_core.networks.arrays.cells import lattice_parameters
from matgen_core.networks.learning.loops import Schedule
from matgen_core.networks.learning.voxels import imatgen
from matgen_core.networks.learning.voxels.imatgen import Displacement, Images, IMatGenLearner
from matgen_core.networks.models.voxels.imatgen import IMatGen, IMatGenConfig
from matgen_core.representations import CellAndBasis
from tests.support.arrays import pair_arrays, rng

CONFIG = IMatGenConfig(
    grid=16,
    n_summaries=3,
    per_summary=8,
    tokens=32,
    heads=4,
    image_blocks=(1, 2),
    code_blocks=(1, 1),
    voxel_hidden=48,
    n_latent=3,
    per_latent=4,
    prior_hidden=12,
    prior_blocks=2,
)
IMAGES = Images(box=9.0, width=0.6)


def model() -> IMatGen:
    torch.manual_seed(3)
    return IMatGen(CONFIG).eval()


def test_a_cell_is_read_from_its_image_whatever_its_shape() -> None:
    """Edges of 2.5 to 10 Å and angles of 55 to 125 degrees, to a thousandth."""
    edges = torch.rand(200, 3, generator=rng()) * 7.5 + 2.5
    cosines = (torch.rand(200, 3, generator=rng(1)) - 0.5) * 0.8
    lattice = imatgen.turned(basis.lattice_from_parameters(torch.cat([edges, cosines], 1)))
    kept = torch.linalg.det(lattice).abs() > 0.3 * edges.prod(1)
    found = basis.lattice_of_image(basis.cell_image(lattice[kept], 32, 0.4), 0.4)
    assert kept.sum() > 100
    torch.testing.assert_close(found, lattice[kept], atol=2e-3, rtol=2e-3)
    nothing = basis.lattice_of_image(torch.zeros(2, 32, 32, 32), 0.4)
    assert nothing.isfinite().all()


def test_atoms_are_read_from_their_images_and_counted_by_their_sums() -> None:
    data = pair_arrays()
    images = imatgen.draw(data.frac_coords, data.species, data.lattice, CONFIG, IMAGES)
    assert images.shape == (6, 2, 16, 16, 16)
    places, species, sums = basis.read_basis(images, IMAGES.width / IMAGES.box, 5)
    counts = torch.stack([(data.species == kind).sum(1) for kind in (0, 1)], 1)
    torch.testing.assert_close(sums, counts.float(), atol=0.02, rtol=0)
    frac_coords = basis.in_cell(places, data.lattice, IMAGES.box)
    assert imatgen.same_crystals(data, frac_coords, species, data.lattice, IMAGES).all()
    for change in (
        {"edges": 1.04 * data.lattice, "positions": frac_coords},
        {"edges": data.lattice, "positions": frac_coords + torch.tensor([0.08, 0, 0])},
    ):
        assert not imatgen.same_crystals(data, change["positions"], species, change["edges"], IMAGES).all(1).any()
    assert not imatgen.same_crystals(data, frac_coords, 1 - species.clamp(min=0), data.lattice, IMAGES)[:, 0].any()
    # A low peak beside one that is a little low is no atom, though it is one by its own height.
    two = torch.tensor([[[0.3, 0.3, 0.3], [0.7, 0.7, 0.7]]])
    low = basis.density.splat(two, torch.tensor([[[0.9], [0.4]]]), (16, 16, 16), torch.full((1, 1, 3), 0.07))
    places, kinds, sums = basis.read_basis(low, 0.07, 5)
    assert (kinds >= 0).sum() == 1
    torch.testing.assert_close(sums, torch.tensor([[1.3]]), atol=0.02, rtol=0)
    torch.testing.assert_close(places[kinds >= 0], two[0, :1], atol=1e-3, rtol=0)
    # A third of an atom more in the whole image, spread thin, is no atom.
    thin = images + 0.3 * (2 * torch.pi) ** 1.5 * (IMAGES.width / IMAGES.box * 16) ** 3 / 16**3
    assert torch.equal(basis.read_basis(thin, IMAGES.width / IMAGES.box, 5)[1] >= 0, species >= 0)


@torch.inference_mode()
def test_a_flat_cell_of_one_point_does_not_end_the_reading_of_the_others() -> None:
    net, z = model(), torch.randn(3, 12, generator=rng())
    decode_parts = net.decode_parts

    def one_flat(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images, lattice = decode_parts(points)
        lattice[0, 1] = lattice[0, 2]  # two vectors in one line
        lattice[1, 1, 0] = torch.nan
        return images, lattice

    expected = imatgen.read(net, z, IMAGES)
    net.decode_parts = one_flat  # type: ignore[method-assign]
    frac_coords, species, lattice = imatgen.read(net, z, IMAGES)
    assert frac_coords.isfinite().all()
    torch.testing.assert_close(frac_coords[2], expected[0][2])
    layout = CellAndBasis(("Ti", "O"), grid=16, box=IMAGES.box, width=IMAGES.width)
    for place in range(2):
        found = layout.from_sites(
            frac_coords[place].numpy(), species[place].clamp(min=0).numpy(), lattice[place].numpy()
        )
        assert "the decoded cell is none" in str(found)
    data = pair_arrays(3)
    assert imatgen.same_crystals(data, frac_coords, species, lattice, IMAGES).shape == (3, 2)


def test_displaced_crystals_keep_the_orientation_in_which_cells_are_decoded() -> None:
    data = pair_arrays()
    rows = (data.frac_coords, data.lattice)
    same = imatgen.displaced(rows, Displacement(), 0.0, rng())
    torch.testing.assert_close(same[0], data.frac_coords)
    torch.testing.assert_close(lattice_parameters(same[1]), lattice_parameters(data.lattice))
    moved, lattice = imatgen.displaced(rows, Displacement(strain=0.05), 1.0, rng())
    assert lattice[:, 2, :2].abs().max() < 1e-5
    assert lattice[:, 0, 1].abs().max() < 1e-5
    torch.testing.assert_close(
        basis.lattice_from_parameters(lattice_parameters(lattice)), lattice, atol=1e-4, rtol=1e-4
    )
    assert ((moved - data.frac_coords).abs().amax((1, 2)) > 1e-4).all()


@torch.inference_mode()
def test_a_crystal_is_coded_alone_as_in_a_batch_and_its_cell_is_read_from_the_image() -> None:
    with torch.inference_mode(False):
        net, data = model(), pair_arrays()
    lattice = imatgen.turned(data.lattice)
    images = imatgen.draw(data.frac_coords, data.species, lattice, CONFIG, IMAGES)
    whole = torch.cat([basis.cell_image(lattice, 16, CONFIG.cell_width).unsqueeze(1), images], 1)
    z = net.encode(whole).mean
    torch.testing.assert_close(z, net.fitted(images, lattice).mean, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(net.encode(whole[2:3]).mean, z[2:3], atol=1e-4, rtol=1e-3)
    first = net.posterior(images, lattice).mean
    torch.testing.assert_close(net.posterior(images[2:3], lattice[2:3]).mean, first[2:3], atol=1e-5, rtol=1e-4)
    assert net.decode(z).shape == whole.shape
    torch.testing.assert_close(net.decode(z[2:3]), net.decode(z)[2:3], atol=1e-5, rtol=1e-4)
    # Each element has a part of the point, and the cell another.
    assert (net.posterior(images.flip(1), lattice).mean - first).abs().max() > 2e-4
    assert (net.posterior(images, 1.1 * lattice).mean - first).abs().max() > 2e-4


def test_encoding_goes_on_to_where_the_crystal_is_decoded_best_and_changes_no_weight() -> None:
    data = pair_arrays()
    images = imatgen.draw(data.frac_coords, data.species, data.lattice, CONFIG, IMAGES)
    torch.manual_seed(3)
    net = IMatGen(replace(CONFIG, fit_steps=30, fit_rate=0.2)).eval()
    before = {name: weight.clone() for name, weight in net.named_parameters()}

    def error(z: torch.Tensor) -> torch.Tensor:
        drawn, lattice = net.decode_parts(z)
        return (drawn - images).square().flatten(1).sum(1) + (lattice - data.lattice).square().flatten(1).sum(1)

    with torch.no_grad():
        first, fitted = net.posterior(images, data.lattice), net.fitted(images, data.lattice)
        assert (error(fitted.mean) < error(first.mean)).all()
    assert torch.equal(first.log_var, fitted.log_var)
    assert not fitted.mean.requires_grad
    assert all(torch.equal(weight, before[name]) and weight.grad is None for name, weight in net.named_parameters())
    # Steps that only lead away are not taken.
    wild = IMatGen(replace(CONFIG, fit_steps=2, fit_rate=1e4)).eval()
    wild.load_state_dict(net.state_dict())
    torch.testing.assert_close(wild.fitted(images, data.lattice).mean, first.mean)


def test_an_unknown_class_teaches_nothing_and_the_rarer_one_counts_as_much() -> None:
    net, data = model(), pair_arrays()
    images = imatgen.draw(data.frac_coords, data.species, data.lattice, CONFIG, IMAGES)
    stable = imatgen.is_stable(data, 0.1)
    assert torch.equal(stable[:2], torch.tensor([1.0, 0.0]))
    assert stable[2].isnan()
    with torch.no_grad():
        none_known = net.loss(images, data.lattice, torch.full((6,), torch.nan), rng=rng())
    assert float(none_known["stable"]) == 0
    rare = torch.tensor([1.0, 0, 0, 0, 0, 0])
    with torch.no_grad():
        net.to_odds.weight.zero_()
        net.to_odds.bias.fill_(-8.0)  # "unstable" to all
        assert float(net.loss(images, data.lattice, rare, rng=rng())["stable_right"]) == pytest.approx(0.5)


def test_points_between_two_keep_their_ends_and_their_length() -> None:
    start, end = torch.randn(5, 12, generator=rng(1)), torch.randn(5, 12, generator=rng(2))
    torch.testing.assert_close(imatgen.between(start, end, torch.zeros(5)), start, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(imatgen.between(start, end, torch.ones(5)), end, atol=1e-4, rtol=1e-4)
    middle = imatgen.between(start, end, torch.full((5,), 0.5)).norm(dim=1)
    torch.testing.assert_close(middle, (start.norm(dim=1) + end.norm(dim=1)) / 2)
    assert imatgen.between(start, start, torch.full((5,), 0.5)).isfinite().all()


def test_a_run_learns_and_decodes_what_is_judged(tmp_path) -> None:
    learner = IMatGenLearner(
        config=CONFIG,
        images=IMAGES,
        schedule=Schedule(epochs=16, batch_size=8, learning_rate=6e-3),
        prior=Schedule(epochs=2, batch_size=4, learning_rate=1e-3),
        check_every=80,
        n_drawn=5,
        n_around=7,
    )
    data = replace(pair_arrays(12), lattice=imatgen.turned(pair_arrays(12).lattice))
    data = replace(data, part=torch.cat([data.part[:10], torch.tensor([3, 3])]))
    learner.learn(data, tmp_path, "cpu")
    losses = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert losses[-1]["reconstruction"] < 0.5 * losses[0]["reconstruction"]
    assert {"training_rebuilt", "validation_atoms", "known_cells"} <= set(losses[15])
    assert json.loads((tmp_path / "profile.json").read_text())["crystals_per_second"] > 0
    net = imatgen.read_run(tmp_path)
    assert net.config == replace(CONFIG, lattice_mean=net.config.lattice_mean, lattice_spread=net.config.lattice_spread)
    judged = imatgen.JudgedCrystals.load(tmp_path / imatgen.FILE)
    assert {name: len(each.z) for name, each in judged.found.items()} == {
        "known": 10,
        "between": 5,
        "around": 7,
        "learned_prior": 5,
    }
    again = imatgen.judge(learner, net, data.of_the_pair(), "cpu")
    torch.testing.assert_close(again.found["between"].z, judged.found["between"].z, atol=2e-3, rtol=2e-3)
