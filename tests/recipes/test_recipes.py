"""The recipes keep to one protocol, and learn with the same settings by both doors, here and on a bare machine."""

import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Element

from matgen_core import checkpoint, data
from matgen_core.data import DATASETS, Dataset
from matgen_core.latent import building
from matgen_core.latent.projection import projections
from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.formulas import LabelledFormulas
from matgen_core.networks.learning import LEARNERS, runs
from matgen_core.networks.learning.__main__ import main
from matgen_core.networks.learning.cgcnn import CGCNNLearner, PropertyGraphs
from matgen_core.networks.learning.clouds.point_cloud_gan import PointCloudGANLearner
from matgen_core.networks.learning.clouds.point_cloud_gan_paper import PointCloudGANPaperLearner
from matgen_core.networks.learning.crystalgan import CrystalGANLearner, PublishedLearner
from matgen_core.networks.learning.ding import DINGLearner, encode, read_note, read_run
from matgen_core.networks.learning.formation_references import FormationReferencesLearner
from matgen_core.networks.learning.formula_lm import FormulaLMLearner
from matgen_core.networks.learning.matgan import MatGANLearner
from matgen_core.networks.learning.voxels.icsg3d import ICSG3DLearner
from matgen_core.networks.learning.voxels.icsg3d_paper import BoxedCrystals, Elements, ICSG3DPaperLearner
from matgen_core.networks.learning.voxels.imatgen import IMatGenLearner
from matgen_core.networks.learning.voxels.points import Samples
from matgen_core.networks.learning.voxels.voxel_vae import VoxelVAELearner
from matgen_core.networks.models.phase_field_vae import PhaseFieldVAE
from matgen_core.networks.models.random_forest import RandomForest, RandomForestConfig
from matgen_core.recipes import RECIPES, Recipe
from matgen_core.recipes.cgcnn import data as cgcnn_data
from matgen_core.recipes.shared import cubic
from matgen_core.recipes.shared.formulas import baseline as formula_baseline
from matgen_core.recipes.shared.formulas import figures as formula_figures
from matgen_core.recipes.shared.phase_fields import read_features
from matgen_core.recipes.shared.runs import ARRAYS, cache
from matgen_core.recipes.two_d_screen.forest import Growth, grow
from matgen_core.recipes.two_d_screen.recipe import Examples, TwoDScreenRecipe
from matgen_core.recipes.voxel_vae.figures import Sizes
from tests.support import hydrides
from tests.support.arrays import (
    crystal_arrays,
    formula_arrays,
    labelled_formulas,
    packed_graphs,
    pair_arrays,
    reduced_arrays,
)
from tests.support.clouds import cloud_arrays
from tests.support.potentials import known_crystals
from tests.support.rows import each_row

AMOUNTS = ((1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (2, 3))
SMALL = Samples(round_trips=5, walks=2, steps=3, prior=6, covered=0, around=10, per_class=2)
STAGES = ("prepare", "learn", "describe", "evaluate")
LEARNED = sorted(set(LEARNERS) & set(RECIPES))

# What the networks are made of in the tests, so that they learn in a second.
BRIEF: dict[str, dict[str, Any]] = {
    "cgcnn_energy": {"members": 2, "schedule": {"epochs": 2, "batch_size": 16}},
    "ding": {
        "config": {
            "latent_dim": 4, "n_codes": 3, "hidden": 16, "prior_hidden": 16, "prior_blocks": 2,
            "predictor_width": 16, "judge_width": 18, "judge_layers": 2,
        },
        "schedule": {"epochs": 2, "predictor_epochs": 2, "sharper_epochs": 1},
    },
    "icsg3d": {
        "config": {
            "grid": 8, "width": 0.1, "latent_dim": 6, "channels": [8, 8], "n_narrow": 4, "refiner": [8, 8],
            "prior_hidden": 12,
        },
        "schedule": {"epochs": 1},
        "prior": {"epochs": 2},
        "samples": asdict(SMALL),
    },
    "icsg3d_paper": {
        "config": {"grid": 16, "latent_dim": 6, "channels": [5, 7], "unet_channels": [6, 9]},
        "schedule": {"epochs": 1},
    },
    "formula_lm_icsd": {
        "config": {"hidden": 16, "critic": 24},
        "likelihood": {"epochs": 2},
        "adversarial": {"steps": 2, "batch_size": 16, "critic_first": 1, "report_every": 1},
    },
    "matgan_icsd": {
        "config": {"hidden": 16, "depth": 1, "critic": 24, "critic_depth": 1},
        "adversarial": {"steps": 2, "batch_size": 16, "report_every": 1},
    },
    "voxel_vae": {
        "config": {
            "n_summaries": 3, "per_summary": 4, "tokens": 24, "heads": 3, "encoder_blocks": 1, "decoder_blocks": 1,
            "painted": 5, "unet": [8, 8], "prior_hidden": 12,
        },
        "schedule": {"epochs": 1},
        "prior": {"epochs": 2},
        "n_known": 60,
        "n_drawn": 6,
    },
}  # fmt: skip


def arrays_of(learner: Any) -> Any:
    """Small arrays of the kind that a learner takes."""
    crystals = crystal_arrays()
    return {
        CGCNNLearner: PropertyGraphs(packed_graphs(), {"of_site.weight": torch.ones(2)}),
        CrystalGANLearner: hydrides.arrays(),
        DINGLearner: labelled_formulas(40),
        FormationReferencesLearner: known_crystals(),
        ICSG3DLearner: crystals,
        ICSG3DPaperLearner: BoxedCrystals(crystals, Elements(torch.arange(6.0) + 3, torch.ones(6))),
        IMatGenLearner: pair_arrays(),
        FormulaLMLearner: formula_arrays(),
        MatGANLearner: formula_arrays(),
        PointCloudGANLearner: cloud_arrays(),
        PointCloudGANPaperLearner: cloud_arrays(),
        VoxelVAELearner: reduced_arrays(),
    }[type(learner)]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_the_four_stages(name: str) -> None:
    assert isinstance(RECIPES[name], Recipe)
    for stage in STAGES:
        expected = inspect.signature(getattr(Recipe, stage)).parameters
        found = inspect.signature(getattr(type(RECIPES[name]), stage)).parameters
        assert {key: (each.kind, each.default) for key, each in found.items()} == {
            key: (each.kind, each.default) for key, each in expected.items()
        }, stage


@pytest.mark.parametrize("name", LEARNED)
def test_both_doors_have_the_same_settings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a learner is given, and what the folder says of it, from the recipe and from the bare machine."""
    learner, given = LEARNERS[name], []
    tensors.save(arrays_of(learner), tmp_path / "arrays")
    monkeypatch.setattr(PublishedLearner, "learn", lambda *arguments: None)  # what runs beside ours
    monkeypatch.setattr(type(learner), "learn", lambda self, arrays, folder, device: given.append((self, folder)))
    RECIPES[name].learn(tmp_path / "arrays", tmp_path / "here", "cpu", minutes=0.5)
    main([name, "--arrays", str(tmp_path / "arrays"), "--out", str(tmp_path / "there"), "--device", "cpu",
          "--minutes", "0.5"])  # fmt: skip
    RECIPES[name].learn(tmp_path / "arrays", tmp_path / "own_limit", "cpu")
    (here, _), (there, _), (unlimited, _) = given
    assert here == there != unlimited == learner.for_run("cpu", None)
    settings = [json.loads((folder / runs.SETTINGS).read_text()) for _, folder in given]
    assert (
        settings[0]
        == settings[1]
        == {
            "name": name,
            "settings": json.loads(json.dumps(asdict(here))),
            "minutes": 0.5,
            "device": "cpu",
            "processor": "cpu",
            "torch": torch.__version__,
        }
    )
    assert runs.changed(learner, settings[2]["settings"]) == unlimited


def test_the_settings_of_the_checkpoints_are_those_that_were_chosen() -> None:
    """One line a checkpoint: what it does not share with the others of its kind."""
    assert (LEARNERS["icsg3d"].schedule.minutes, LEARNERS["icsg3d"].schedule.epochs) == (6.9, 2000)
    priors = {name: LEARNERS[name].prior for name in ("icsg3d", "icsg3d_perov5")}
    assert {name: (prior.epochs, prior.minutes) for name, prior in priors.items()} == {
        "icsg3d": (10_000, 6.8),
        "icsg3d_perov5": (10_000, 1.2),
    }
    assert LEARNERS["icsg3d_paper"].schedule.minutes == 8.2
    assert LEARNERS["ding"].schedule.minutes == 16.0
    assert [LEARNERS[name].likelihood.epochs for name in ("formula_lm_oqmd", "formula_lm_icsd")] == [8, 30]


@each_row(
    ("options", "line"),
    [
        (["ding", "--settings", "{"], "no JSON"),
        (["ding", "--settings", "[]"], "expected a JSON object"),
        (["ding", "--settings", '{"beta": 1}'], "DINGLearner has no beta; it has config, schedule"),
        (["ding", "--settings", '{"config": {"beta": "much"}}'], "DINGConfig.beta: 'much' is no number"),
        (["ding", "--settings", '{"config": 3}'], "DINGLearner.config: 3 is no object of its settings"),
        (["ding", "--settings", '{"networks": "vae"}'], "DINGLearner.networks: 'vae' is no list"),
        (["ding", "--networks", "vae,vea"], "expected some of vae,guide"),
        (["formula_lm_icsd", "--networks", "vae"], "FormulaLMLearner has no networks"),
        (["ding", "--minutes", "0"], "0 minutes: expected a positive number"),
        (["ding", "--device", "tpu"], "device 'tpu': expected cpu or cuda"),
        (["formula_lm_icsd"], "holds LabelledFormulas, expected FormulaArrays"),
        (["no_such_checkpoint"], "'no_such_checkpoint' is no learner; known: cgcnn_energy"),
    ],
)
def test_a_bare_machine_says_in_one_line_what_it_cannot_use(
    options: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled_formulas(40).save(tmp_path / "arrays")
    with pytest.raises(SystemExit) as left:
        main([*options[:1], "--arrays", str(tmp_path / "arrays"), "--out", str(tmp_path / "run"), *options[1:]])
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert line in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_train_says_in_one_line_what_it_cannot_use(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    labelled_formulas(40).save(tmp_path / "arrays")
    other = tmp_path / "other"
    other.mkdir()
    runs.write_settings(other, "icsg3d", LEARNERS["icsg3d"], "cpu", None)
    for arguments, line in (
        (("--prepare", tmp_path / "a", "--from", other), "do not go together"),
        (("--from", other, "--minutes", 3), "do not go together"),
        (("--prepare", tmp_path / "no" / "a"), "is no folder to write a to"),
        (("--from", tmp_path), "holds no run: settings.json is missing"),
        (("--from", other), "holds a run for icsg3d, not for ding"),
        (("--minutes", -1), "-1 minutes: expected a positive number"),
        (("--device", "tpu"), "device 'tpu': expected cpu or cuda"),
    ):
        code, _, said = run("train", "ding", *arguments)
        assert (code, said.count("\n")) == (2, 1), said
        assert line in said


@pytest.fixture
def materials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data sets of 64 cells as of CsCl, and quick maps of them; checkpoints and caches of the test alone."""
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs = [
        (cation, anion)
        for cation in ("Li", "Na", "K", "Rb", "Mg", "Ca", "Sr", "Ba")
        for anion in ("F", "Cl", "Br", "I", "O", "S", "Se", "Te")
    ]
    edge = np.linspace(3.4, 4.6, len(pairs))
    energy = -edge / 2
    crystals = pd.DataFrame(
        {
            "material_id": [f"mp-{i}" for i in range(len(pairs))],
            "formula": ["".join(pair) for pair in pairs],
            **dict.fromkeys(("a", "b", "c"), edge),
            **dict.fromkeys(("alpha", "beta", "gamma"), 90.0),
            "space_group_number": 221,
            "numbers": [np.array([Element(symbol).Z for symbol in pair], np.uint8) for pair in pairs],
            "frac_coords": [np.array([0, 0, 0, 0.5, 0.5, 0.5], np.float32)] * len(pairs),
            "formation_energy_per_atom": energy,
            "formation_energy_source": "mp2018",
            "energy_above_hull": edge - 3.4,
            "band_gap": 5 - edge,
            **dict.fromkeys(("K_VRH_2018", "G_VRH_2018", "K_VRH_2025", "G_VRH_2025"), np.nan),
            "icsd_flag": 1,
        }
    )
    sites = pd.DataFrame(
        {
            "material_id": crystals["material_id"],
            "formula": crystals["formula"],
            "lattice": [np.float32(a * np.eye(3)).ravel() for a in edge],
            **crystals[["numbers", "frac_coords"]],
        }
    )
    tables = {
        "mp_structures": crystals,
        "mp_binary_elasticity": sites.assign(bulk_modulus=90.0 + edge, shear_modulus=40.0, poisson_ratio=0.3),
        "mp_dielectric": sites.assign(eps_electronic=edge, refractive_index=edge**0.5),
        "oqmd_compositions": pd.DataFrame(
            {
                "formula": [f"{a}{m}{b}{n}" for m, n in AMOUNTS for a, b in pairs],
                "formation_energy_per_atom": np.tile(energy, len(AMOUNTS)),
                "energy_per_atom": np.tile(energy - 2, len(AMOUNTS)),
                "volume_per_atom": np.tile(5 * edge, len(AMOUNTS)),
                "band_gap": 1.0,
            }
        ),
    }

    def load(name: str) -> Dataset:
        return Dataset(name, tables[name], DATASETS[name], "hash")

    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(cgcnn_data, "load", load)
    monkeypatch.setattr(cubic, "perov5", cubic.cubic_families)
    quick = partial(projections, methods=("pca",), n_seeds=1)
    monkeypatch.setattr(building, "projections", quick)
    for module in (formula_figures, formula_baseline):
        monkeypatch.setattr(module, "SAMPLE_COUNTS", (20, 40, 60))


SMALLER: dict[str, dict[str, Any]] = {
    "cgcnn_energy": {},
    "icsg3d": {"n_index": 60},
    "icsg3d_paper": {"n_index": 60, "samples": SMALL},
    "formula_lm_icsd": {"n_bank": 40, "tried": ((1.0, 1.0),)},
    "matgan_icsd": {"n_bank": 40},
    "voxel_vae": {"sizes": Sizes(test=5, round_trips=3, trials=3, index=60)},
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if "icsg3d" in name else []) for name in SMALLER]
)
def test_a_bare_machine_learns_what_the_data_are_elsewhere(
    name: str,
    materials: None,
    run: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Arrays here, weights there, the checkpoint here again."""
    monkeypatch.setitem(RECIPES, name, replace(RECIPES[name], **SMALLER[name]))
    folder = tmp_path / "run"
    folder.mkdir()
    assert run("train", name, "--prepare", folder / ARRAYS)[0] == 0
    options = ["--arrays", str(folder / ARRAYS), "--device", "cpu", "--seed", "3"]
    main([name, "--out", str(folder), "--settings", json.dumps(BRIEF[name]), *options])
    if name == "cgcnn_energy":
        for other in ("energy_random_split", "energy_paper_design"):
            main([other, "--out", str(folder / other), "--settings", json.dumps(BRIEF[name]), *options])
    if name == "matgan_icsd":
        other = BRIEF[name] | {"config": {"design": "convolutions"}}
        main([name, "--out", str(folder / "convolutions"), "--settings", json.dumps(other), *options])
    code, _, said = run("train", name, "--from", folder)
    assert code == 0, said
    assert "packed" not in said  # the graphs that it learned from are there already
    made = checkpoint.load(name)
    used = made.provenance["settings"]
    assert used["seed"] == 3
    for group, changes in BRIEF[name].items():
        expected = used[group] | changes if isinstance(changes, dict) else changes
        assert used[group] == expected
    assert made.metrics["headline"]["ours"]
    if name == "cgcnn_energy":
        assert made.metrics["random_split"]["split"] == "80/10/10 by random, jointly over all data sets"
        assert made.metrics["paper_design"]["test"]["band_gap"]["n"] == made.metrics["test"]["band_gap"]["n"]
        assert made.metrics["run"]["epochs_run"] == 2
    if name == "matgan_icsd":
        tried = made.metrics["tried"]
        assert [each["config"]["design"] for each in tried] == ["dense", "convolutions"]
        assert [set(each["at"]) for each in tried] == [{"0.2", "0.5"}] * 2
        assert [report["step"] for report in tried[1]["run"]["curve"]] == [1, 2]
    if made.index is not None:
        assert len(made.index) > 50


def test_networks_of_ding_come_together_from_several_runs(
    materials: None, run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """Each run trains some; what is missing is named, and each network says what it learned with."""
    arrays, folder = tmp_path / "arrays.safetensors", tmp_path / "run"
    assert run("train", "ding", "--prepare", arrays)[0] == 0
    for networks in ("vae,guide", "prior,predictor,judge"):
        options = ["--device", "cpu", "--networks", networks, "--settings", json.dumps(BRIEF["ding"])]
        main(["ding", "--arrays", str(arrays), "--out", str(folder), *options])
    assert runs.read_settings(folder, "ding")["settings"]["networks"] == ["prior", "predictor", "judge"]
    assert read_note(folder, "vae")["schedule"]["epochs"] == 2
    assert torch.isfinite(encode(read_run(folder), LabelledFormulas.load(arrays), torch.arange(9)).mean).all()
    code, _, said = run("train", "ding", "--from", folder)
    assert code == 2
    assert "has no sharper_prior, random_split; train them with --networks sharper_prior,random_split" in said


def test_one_machine_learns_what_two_do(
    materials: None, run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same weights by both doors; what a run on one machine learned from and with stays in its folder."""
    name = "formula_lm_icsd"
    recipe = replace(RECIPES[name], learner=runs.changed(LEARNERS[name], BRIEF[name]), **SMALLER[name])
    monkeypatch.setitem(RECIPES, name, recipe)
    code, _, said = run("train", name)
    assert code == 0, said
    here, there = cache() / name, tmp_path / "run"
    main(
        [
            name,
            "--arrays",
            str(here / ARRAYS),
            "--out",
            str(there),
            "--device",
            "cpu",
            "--settings",
            json.dumps(BRIEF[name]),
        ]
    )
    assert runs.read_settings(here, name) == runs.read_settings(there, name)
    told = checkpoint.load(name).provenance
    assert told["run"] | {"settings": told["settings"]} == runs.read_settings(here, name)
    for stage in ("likelihood", "weights"):
        assert (here / f"{stage}.safetensors").read_bytes() == (there / f"{stage}.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["phase_field_norm", "phase_field_vae"])
def test_phase_fields_are_standardized_as_in_the_checkpoint(name: str, tmp_path: Path) -> None:
    recipe: Any = RECIPES[name]
    if name == "phase_field_vae":
        brief = replace(recipe.config, n_members=2, hidden=(7,))
        recipe = replace(recipe, config=brief, schedule=replace(recipe.schedule, epochs=2, batch_size=2048))
    recipe.prepare(tmp_path / "arrays")
    for _ in range(2):  # a run before it leaves nothing behind
        recipe.learn(tmp_path / "arrays", tmp_path / "run", "cpu", minutes=9.0)
    found, shipped = read_features(tmp_path / "run"), checkpoint.load(name).representation
    for key, value in vars(shipped).items():
        np.testing.assert_array_equal(getattr(found, key), value, err_msg=key)
    settings = runs.read_settings(tmp_path / "run", name)["settings"]
    if name == "phase_field_vae":
        assert settings["schedule"] == asdict(replace(recipe.schedule, minutes=9.0))
        assert settings["config"] == runs.read_config(tmp_path / "run") | {"hidden": [7]}
        assert [line["epoch"] for line in runs.losses(tmp_path / "run" / "losses.jsonl")] == [1, 2]
        model = runs.read_weights(PhaseFieldVAE(recipe.config), tmp_path / "run")
        assert model.score(torch.from_numpy(found.table), torch.tensor([[0, 5, 11, 40]])).isfinite().all()
    else:
        assert settings == {"n_slots": 4, "n_features": 37}


def test_a_forest_grows_from_its_examples(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(90, 5)).astype(np.float32), rng.random(90) < 0.4
    recipe = TwoDScreenRecipe(growth=Growth(n_trees=6, max_depth=4), seed=3)
    tensors.save(Examples(torch.from_numpy(x), torch.from_numpy(labels)), tmp_path / "arrays")
    recipe.learn(tmp_path / "arrays", tmp_path / "run", "cpu")
    config = RandomForestConfig(**runs.read_config(tmp_path / "run"))
    found = runs.read_weights(RandomForest(config), tmp_path / "run")
    expected = grow(x, labels, recipe.growth, 3)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
        assert found.state_dict()[name].dtype == tensor.dtype
    assert runs.read_settings(tmp_path / "run", "two_d_screen")["settings"] == asdict(recipe.growth)
