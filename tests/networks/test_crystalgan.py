"""CrystalGAN: what its networks see, its three steps, its losses, its game, and the published networks beside it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from safetensors.torch import load_file

from matgen_core.networks.arrays.clouds import from_points
from matgen_core.networks.arrays.hydrides import FRAMEWORK, TERNARY, HydrideArrays, Sites
from matgen_core.networks.arrays.splits import TEST, TRAIN
from matgen_core.networks.learning import crystalgan, runs
from matgen_core.networks.learning.crystalgan import CrystalGANLearner, Draws, PublishedLearner, domain
from matgen_core.networks.models.crystalgan import CrystalGAN, choose, in_slots, metal_distances
from matgen_core.networks.models.parts.rows import RowGAN, RowSettings
from tests.support.arrays import rng
from tests.support.hydrides import arrays, tiny

SLOTS = (8, 8, 18)


def stirred(model: CrystalGAN) -> CrystalGAN:
    """Weights that move atoms: those of a new network hardly do."""
    for weight in model.parameters():
        weight.data.add_(0.2 * torch.randn(weight.shape, generator=rng(3)))
    return model


def symbols(sites: Sites, row: int) -> list[str]:
    kinds = sites.kinds[row][sites.there[row]].argmax(-1).tolist()
    return [("H", "Mg", "Ti")[kind] for kind in kinds]


def crystal(sites: Sites, row: int) -> Structure:
    there = sites.there[row]
    return Structure(Lattice(sites.lattice[row].double().numpy()), symbols(sites, row), sites.frac_coords[row][there])


@torch.inference_mode()
def test_order_of_sites_origin_and_orientation_do_not_matter() -> None:
    """Supercells of fluorite, whose sites have many neighbors at one distance: none may be cut off for its place."""
    model, pairs = stirred(tiny(n_neighbors=10)), Draws(arrays())(6, rng(1))
    turn = torch.linalg.qr(torch.randn(3, 3, generator=rng(2)))[0]
    order, shift = torch.randperm(24, generator=rng(4)), torch.tensor([0.1, 0.27, 0.4])
    noise = torch.randn(6, 24, generator=rng(5))
    source = pairs.source
    other = Sites((source.frac_coords + shift)[:, order], source.kinds[:, order], source.lattice @ turn)
    made, carried = model.translate(source, pairs.metals, pairs.n_second, noise)
    same, same_carried = model.translate(other, pairs.metals, pairs.n_second, noise[:, order])
    assert (made.frac_coords - source.frac_coords).abs().max() > 0.01
    for one, two in ((made, same), (carried, same_carried)):
        torch.testing.assert_close(one.lattice @ turn, two.lattice, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close((one.frac_coords + shift)[:, order], two.frac_coords, atol=1e-4, rtol=1e-4)
        assert torch.equal(one.kinds[:, order], two.kinds)
    verdicts = [model.realness(each, pairs.metals) for each in (made, same)]
    torch.testing.assert_close(*verdicts, atol=1e-4, rtol=1e-4)
    moved = replace(made, frac_coords=made.frac_coords + 0.03 * torch.randn(6, 24, 3, generator=rng(6)))
    assert (model.realness(moved, pairs.metals) - verdicts[0]).abs().max() > 1e-3


@torch.inference_mode()
def test_the_three_steps_keep_what_they_must() -> None:
    model, pairs = stirred(tiny()), Draws(arrays())(20, rng(1))
    noise = torch.randn(20, 24, generator=rng(5))
    source, n_second = pairs.source, pairs.n_second
    made, carried = model.translate(source, pairs.metals, n_second, noise)
    assert torch.equal(made.kinds.sum(1)[:, 2].long(), n_second)
    assert torch.equal(made.kinds[..., 0], source.kinds[..., 0])
    assert torch.equal(made.kinds[..., 1:].sum(-1), source.kinds[..., 1])
    assert torch.equal(carried.kinds, source.kinds)
    again, _ = model.translate(source, pairs.metals, n_second, noise)
    assert torch.equal(again.frac_coords, made.frac_coords)
    elsewhere = torch.randn(20, 24, generator=rng(6))
    assert not torch.equal(model.translate(source, pairs.metals, n_second, elsewhere)[0].kinds, made.kinds)


@torch.inference_mode()
def test_cells_start_from_the_volumes_of_the_atoms() -> None:
    """Networks whose last layers are 0 move nothing, so that what is seen is the change of volume alone."""
    model, pairs = tiny(), Draws(arrays())(8, rng(1))
    for name in ("translator", "finisher"):
        for last in (model.generator[name].along[2], model.generator[name].grown):
            last.weight.zero_()
            last.bias.zero_()
    noise = torch.zeros(8, 24)
    given = torch.tensor([[10.0, 30.0]]).expand(8, 2)
    made, carried = model.translate(pairs.source, pairs.metals, pairs.n_second, noise, given)
    counts = made.kinds.sum(1)
    n_metals = counts[:, 1] + counts[:, 2]
    hydrogen = counts[:, 0] * model.volumes[0]
    before, ternary, end = (torch.linalg.det(each.lattice).abs() for each in (pairs.source, made, carried))
    growth = (hydrogen + 10 * counts[:, 1] + 30 * counts[:, 2]) / (hydrogen + 10 * n_metals)
    torch.testing.assert_close(ternary / before, growth, rtol=1e-3, atol=0)
    torch.testing.assert_close(end / before, (hydrogen + 30 * n_metals) / (hydrogen + 10 * n_metals), rtol=1e-3, atol=0)


def test_choosing_takes_the_highest_of_those_that_may_be_and_passes_a_gradient() -> None:
    alike = choose(torch.ones(1, 4), torch.tensor([[True, True, False, True]]), torch.tensor([2]))
    assert alike.round().tolist() == [[1, 1, 0, 0]]
    score = torch.tensor([[3.0, 2.0, 1.0, 0.0], [0.0, 5.0, 4.0, 9.0]], requires_grad=True)
    may = torch.tensor([[False, True, True, True], [True, True, True, False]])
    chosen = choose(score, may, torch.tensor([2, 1]))
    assert chosen.round().tolist() == [[0, 1, 1, 0], [0, 1, 0, 0]]
    (chosen * torch.tensor([1.0, 2, 3, 4])).sum().backward()
    assert score.grad is not None
    assert (score.grad[may] > 0).all()
    assert (score.grad[~may] == 0).all()


def test_the_geometric_loss_is_of_minimum_images_and_is_learned_from() -> None:
    """Two metal atoms 1.2 Å apart across the edge of the cell, and one whose next metal atom is 5 Å away."""
    model = tiny(nearest=1.8, farthest=3.0, roomy=1.5)
    near = torch.tensor([[0.02, 0.0, 0.0], [0.82, 0.0, 0.0], [0.5, 0.5, 0.5]])
    far = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.3, 0.3, 0.3]])
    coords = torch.stack([near, far]).requires_grad_(True)
    kinds = torch.tensor([[[0, 1, 0], [0, 0, 1], [1, 0, 0]], [[0, 1, 0], [1, 0, 0], [0, 0, 0]]]).float()
    sites = Sites(coords, kinds, torch.stack([6 * torch.eye(3), 5 * torch.eye(3)]))
    metals = torch.tensor([[1, 2], [1, 2]])
    distances = metal_distances(sites).flatten(1).min(1).values
    torch.testing.assert_close(distances, torch.tensor([1.2, 5.0]))
    own = sum(model.radii[k] for k in (1, 1)) * 1.5
    expected = (0.6**2 + max(0.0, 5.0 - max(3.0, float(own))) ** 2) / 2
    loss = model.geometry(sites, metals)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
    loss.backward()
    assert coords.grad is not None
    assert coords.grad[0, 0, 0] < 0 < coords.grad[0, 1, 0]  # apart, across the edge
    assert (coords.grad[0, 2] == 0).all()  # hydrogen is free


def test_the_losses_reach_every_network_and_obey_the_seed() -> None:
    model, pairs = stirred(tiny()).train(), Draws(arrays())(8, rng(1))
    for name, loss, others in (
        ("generator", lambda: model.generator_loss(pairs, rng(3)), "critic"),
        ("critic", lambda: model.critic_loss(pairs, rng(3)), "generator"),
    ):
        model.zero_grad()
        parts = loss()
        assert float(parts["loss"].detach()) == float(loss()["loss"].detach())
        parts["loss"].backward(inputs=list(getattr(model, name).parameters()))
        for key, weight in model.named_parameters():
            if key.startswith(f"{name}."):
                assert weight.grad is not None, key
                assert weight.grad.abs().sum() > 0, f"{key} gets a gradient of 0"
            else:
                assert key.startswith(others)
                assert weight.grad is None


class LogVolume(torch.nn.Module):
    """A critic that looks at nothing but the volume of the cell."""

    def forward(self, sites: Sites, described: torch.Tensor) -> torch.Tensor:
        return torch.linalg.det(sites.lattice).abs().log() + 0 * sites.frac_coords.sum((1, 2))


def test_critics_learn_to_tell_and_are_held_flat() -> None:
    """The second term of their loss is the mean square of their slopes, by steps of sites and by strains."""
    pairs = Draws(arrays())(8, rng(1))
    flat, steep = (stirred(tiny(penalty=penalty)).critic_loss(pairs, rng(3)) for penalty in (0.0, 2.0))
    cost = float((steep["loss"] - flat["loss"]).detach())
    assert cost > float(steep["penalty"].detach()) > 0  # two critics, of which one is told
    # A verdict that is the logarithm of the volume has a slope of 1 by each of three strains and none by steps: 3 for
    # the real crystal and 3 for the other.
    of_volume = tiny()
    of_volume.critic["ternary"] = LogVolume()
    torch.testing.assert_close(of_volume.critic_loss(pairs, rng(3))["penalty"].detach(), torch.tensor(6.0))
    model = stirred(tiny(penalty=0.1)).train()
    steps = torch.optim.Adam(model.critic.parameters(), 3e-3)
    before = float(model.critic_loss(pairs, rng(3))["distance"].detach())
    for _ in range(25):
        steps.zero_grad()
        model.critic_loss(pairs, rng(3))["loss"].backward(inputs=list(model.critic.parameters()))
        steps.step()
    assert float(model.critic_loss(pairs, rng(3))["distance"].detach()) > before + 0.1


def test_draws_are_of_one_pair_and_never_of_one_that_is_held_out() -> None:
    found = arrays()
    pairs = Draws(found)(300, rng(1))
    forbidden = {tuple(sorted(row)) for row in found.forbidden.tolist()}
    drawn = {tuple(sorted(row)) for row in pairs.metals.tolist()}
    assert forbidden
    assert len(drawn) > 3
    assert not drawn & forbidden
    assert all(first != second for first, second in drawn)
    n_metals = pairs.source.metal.sum(1)
    assert ((pairs.n_second >= 1) & (pairs.n_second < n_metals)).all()
    assert (pairs.source.kinds[..., 2] == 0).all()
    assert (pairs.binary.kinds[..., 2] == 0).all()
    volumes = found.volumes[pairs.metals]
    # a dihydride takes the volume of its own atoms, whatever metal stood there before
    for sites, of_metal in ((pairs.source, volumes[:, 0]), (pairs.binary, volumes[:, 1])):
        counts = sites.kinds.sum(1)
        usual = counts[:, 0] * found.volumes[0] + counts[:, 1] * of_metal
        assert (torch.linalg.det(sites.lattice).abs() / usual).log().abs().max() < 0.5
    of_ternary = pairs.ternary.kinds.sum(1)
    share = of_ternary[:, 2] / of_ternary[:, 1:].sum(1)
    assert (share - pairs.n_second / n_metals).abs().max() < 0.26
    ratio = of_ternary[:, 0] / of_ternary[:, 1:].sum(1)
    assert (ratio - pairs.source.kinds.sum(1)[:, 0] / n_metals).abs().max() <= 0.1


def test_held_out_crystals_are_in_no_draw() -> None:
    found = arrays()
    assert [found.ids[row] for row in found.rows(TERNARY, TEST).tolist()] == ["MgTiH4"]
    assert "MgTiH4" not in {found.ids[row] for row in Draws(found).ternaries.tolist()}
    assert {found.ids[row] for row in found.rows(FRAMEWORK, TRAIN).tolist()} == {
        "PdH", "NiH", "MgH2", "TiH2", "YH2", "ZrH2",
    }  # fmt: skip


@torch.inference_mode()
def test_latent_points_become_crystals_in_slots_and_the_critic_reads_them_as_it_made_them() -> None:
    model = stirred(tiny())
    z = torch.randn(12, model.latent_dim, generator=rng(4))
    points = model.decode(z)
    assert points.shape == (12, 2 + sum(SLOTS), 3)
    _, there, _ = from_points(points)
    first, second, hydrogen = (part.sum(1) for part in there.split(SLOTS, 1))
    assert (first >= 1).all()
    assert (second >= 1).all()
    assert torch.equal(hydrogen, 2 * (first + second))  # the sources are dihydrides
    assert len({tuple(row) for row in torch.stack([first, second], 1).tolist()}) > 2
    alone = torch.cat([model.criticize(row[None]) for row in points])
    torch.testing.assert_close(model.criticize(points), alone, atol=1e-4, rtol=1e-4)
    assert model.features(points).shape == (12, 2 * model.config.width)


def test_a_run_learns_and_leaves_what_is_needed(tmp_path: Path) -> None:
    arrays().save(tmp_path / "arrays.safetensors")
    few = replace(crystalgan.ADVERSARIAL, steps=4, batch_size=4, critic_first=1, report_every=2, minutes=5)
    learner = CrystalGANLearner(tiny().config, few)
    found = []
    for folder in ("one", "two"):
        runs.learn("crystalgan_hydride", learner, tmp_path / "arrays.safetensors", tmp_path / folder, "cpu")
        found.append(load_file(tmp_path / folder / "weights.safetensors"))
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
    model = crystalgan.read_run(tmp_path / "one")
    torch.testing.assert_close(model.volumes, arrays().volumes, rtol=1e-3, atol=0)
    fresh = tiny()
    torch.manual_seed(0)
    assert not torch.equal(
        model.generator["finisher"].along[2].weight, CrystalGAN(fresh.config).generator["finisher"].along[2].weight
    )
    lines = [json.loads(line) for line in (tmp_path / "one" / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert all(np.isfinite(list(line.values())).all() for line in lines)


def test_the_published_networks_learn_and_leave_what_they_make(tmp_path: Path) -> None:
    arrays().save(tmp_path / "arrays.safetensors")
    few = replace(crystalgan.PUBLISHED, steps=3, minutes=5)
    learner = PublishedLearner(RowSettings(width=6, depth=2), few)
    runs.learn("crystalgan_published", learner, tmp_path / "arrays.safetensors", tmp_path, "cpu")
    made = load_file(tmp_path / crystalgan.PUBLISHED_FILE)
    assert set(made) == {"Pd-Ni with", "Pd-Ni without", "Mg-Ti with", "Mg-Ti without"}
    assert made["Mg-Ti with"].shape[1:] == (2 + sum(SLOTS), 3)
    assert not torch.equal(made["Mg-Ti with"], made["Mg-Ti without"])
    assert len((tmp_path / "published_Mg_Ti_with.jsonl").read_text().splitlines()) == 1


def test_arrays_come_back_from_a_file(tmp_path: Path) -> None:
    arrays().save(tmp_path / "arrays.safetensors")
    again = HydrideArrays.load(tmp_path / "arrays.safetensors")
    assert again.metals == arrays().metals
    assert torch.equal(again.species, arrays().species)


def published() -> tuple[RowGAN, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(1)
    sides = tuple(in_slots(domain(arrays(), metal, place, SLOTS), SLOTS) for place, metal in enumerate(("Mg", "Ti")))
    return RowGAN(RowSettings(width=12, depth=2)), sides


def test_the_published_networks_see_one_row_at_a_time() -> None:
    model, (first, _) = published()
    assert (first[:, 2 + 8 : 2 + 16].abs().sum((1, 2)) == 0).all()  # no second metal yet
    changed = first.clone()
    changed[:, 2] += 0.1
    moved = (model.carry("first_there", changed) - model.carry("first_there", first)).abs().sum((0, 2)) > 0
    assert moved.nonzero().flatten().tolist() == [2]


def test_the_published_networks_put_the_other_metals_block_beside_and_are_held_apart() -> None:
    model, (first, second) = published()
    from_first, from_second = model.ternaries(first, second)
    for made, given in ((from_first, first), (from_second, second)):
        n_metals = (given[:, 2:18].sum(-1) > 0).sum(1)
        assert torch.equal((made[:, 2:18].sum(-1) > 0).sum(1), 2 * n_metals)
        assert torch.equal((made[:, 18:].sum(-1) > 0), (given[:, 18:].sum(-1) > 0))
    assert float(model.geometry(from_first).detach()) > 0
    model.geometry(from_first).backward()
    reached = {name.split(".")[1] for name, weight in model.named_parameters() if weight.grad is not None}
    assert reached == {"first_there", "second_there"}
    loss = model.critic_loss((first, second))
    assert set(loss) == {"loss", "distance", "penalty"}
    assert float(model.generator_loss((first, second)).detach()) > 0
