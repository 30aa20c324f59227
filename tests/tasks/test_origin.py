"""What made a table stands in the table: models, their versions, settings and seed."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from matgen_core import checkpoint
from matgen_core.jobs.files.csv_cells import csv_text
from matgen_core.tasks import origin
from tests.support.broken import without_hashes


def test_every_row_says_where_it_is_from() -> None:
    table = pd.DataFrame({"formula": ["NaN", "=LiF", "CaO"], "score": [1.5, 2.5, 3.5]})
    settings = {"seed": 7, "must": ["Li", "O"], "filter": 'Li-*, "S"', "near": None}
    written = csv_text(origin.with_origin(table, ["icsg3d", "phase_field_vae"], settings))
    again = pd.read_csv(io.StringIO(written), keep_default_na=False)
    assert list(again.columns) == ["formula", "score", "made_by", "made_by_versions", "made_with"]
    assert set(again["made_by"]) == {"icsg3d, phase_field_vae"}
    assert [json.loads(text) for text in again["made_with"]] == [settings] * 3
    config = json.loads((checkpoint.root() / "icsg3d" / "config.json").read_text(encoding="utf-8"))
    assert all(config["commit"] in text for text in again["made_by_versions"])
    assert all(config["sha256"]["weights.safetensors"][:12] in text for text in again["made_by_versions"])


def test_a_changed_checkpoint_has_another_version_and_an_old_one_says_that_it_has_no_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(checkpoint.root() / "phase_field_norm", tmp_path / "mine")
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    seen = [origin.checkpoint_version("mine")]
    made = checkpoint.load("mine")
    checkpoint.save(replace(made, provenance=made.provenance | {"seed": 99}), tmp_path / "mine")
    seen.append(origin.checkpoint_version("mine"))
    commit = checkpoint.documents("mine")[0]["commit"]
    without_hashes(tmp_path / "mine")
    assert len(set(seen)) == 2
    assert origin.checkpoint_version("mine") == f"mine: commit {commit}, without hashes"
