"""Checkpoint folders: what is shipped loads and is complete; what is broken says so in one line."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from matgen_core import checkpoint
from matgen_core.checkpoint import CheckpointError
from matgen_core.recipes import RECIPES
from matgen_core.recipes.cgcnn.recipe import CGCNNRecipe
from matgen_core.recipes.shared.card import HEADINGS
from tests.support.broken import without_hashes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a shipped checkpoint that a test may break."""
    copy = tmp_path / "phase_field_norm"
    shutil.copytree(checkpoint.root() / "phase_field_norm", copy)
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    return copy


@pytest.mark.parametrize("name", checkpoint.names())
def test_shipped_checkpoints_are_whole(name: str) -> None:
    loaded = checkpoint.load(name)
    for heading in HEADINGS:
        assert f"\n## {heading}\n" in loaded.card
    assert set(loaded.provenance) >= {"title", "system", "level", "recipe", "seed", "datasets", "commit", "trained"}
    assert all(len(sha) == 64 for sha in loaded.provenance["datasets"].values())
    assert set(loaded.metrics["headline"]) == {"figure", "ours", "paper"}
    if loaded.index is not None and "z" in loaded.index:
        assert loaded.index["z"][0].dtype == np.float16
    assert not {"frac_coords", "cart_coords", "lattice"} & set(loaded.index.columns if loaded.index is not None else ())


@pytest.mark.parametrize("name", checkpoint.names())
def test_saving_and_loading_changes_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = checkpoint.load(name)
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    checkpoint.save(first, tmp_path / name)
    second = checkpoint.load(name)
    assert second.model.config == first.model.config
    assert (second.metrics, second.card, second.provenance) == (first.metrics, first.card, first.provenance)
    for (key, one), (other, two) in zip(
        first.model.state_dict().items(), second.model.state_dict().items(), strict=True
    ):
        assert key == other
        torch.testing.assert_close(one, two, rtol=0, atol=0, equal_nan=True)  # what was not fitted is NaN


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if isinstance(recipe, CGCNNRecipe)])
def test_property_networks_are_stored_as_their_recipes_say(name: str) -> None:
    assert checkpoint.load(name).precision == RECIPES[name].precision


def test_a_failed_save_keeps_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = checkpoint.load("phase_field_norm")
    with pytest.raises(TypeError):
        checkpoint.save(replace(loaded, metrics={"not JSON": object()}), folder)
    assert checkpoint.load("phase_field_norm").metrics == loaded.metrics
    assert [path.name for path in folder.parent.iterdir()] == ["phase_field_norm"]


def refused(name: str = "phase_field_norm") -> str:
    with pytest.raises(CheckpointError) as error:
        checkpoint.load(name)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("file", ["weights.safetensors", "metrics.json", "card.md"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    line = refused()
    assert file in line
    assert "retrain it with: matgen train phase_field_norm" in line


@pytest.mark.parametrize("file", ["weights.safetensors", "config.json", "metrics.json", "index.parquet"])
def test_a_truncated_file_is_named(folder: Path, file: str) -> None:
    path = folder / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert file in refused()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"format": 99}, "format 99, but this version reads formats 1, 2 and 3"),
        ({"model": "dingo"}, "unknown model 'dingo'; known: "),
        ({"representation": "poem"}, "unknown representation 'poem'; known: "),
        ({"model_config": {"n_slots": 4, "n_fetures": 37}}, "n_fetures"),
        ({"representation_config": {}}, "it does not fit the weights"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(folder: Path, change: dict, line: str) -> None:
    without_hashes(folder, **change)
    assert line in refused()


def test_a_config_that_is_no_object_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("[1, 2]")
    assert "holds no JSON object" in refused()


@pytest.mark.parametrize("name", ["nope", "../phase_field_norm", "", "/etc"])
def test_a_name_that_is_no_checkpoint_names_those_present(folder: Path, name: str) -> None:
    assert "no such checkpoint" in refused(name)
    assert "present: phase_field_norm" in refused(name)


def test_a_pickle_is_never_loaded(folder: Path) -> None:
    torch.save({"x": torch.zeros(1)}, folder / "weights.safetensors")
    assert "weights.safetensors" in refused()
