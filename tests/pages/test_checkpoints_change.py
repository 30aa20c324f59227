"""Checkpoints that are replaced, removed, broken and put back while a page is open: every page sees it at once."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint
from matgen_core.checkpoint import NO_HASHES, Checkpoint
from tests.support.broken import without_hashes
from tests.support.page_checks import page, said, seen

pytestmark = pytest.mark.usefixtures("fresh_caches")

CHOICE = {"latent_map": "map", "journeys": "journey", "place": "place_model", "trust": "checkpoint"}
CHOICE |= {
    "structure_bench": "bench_model",
    "phase_fields": "ranker",
    "compositions": "generator",
    "crystals": "crystal_model",
}
# Which of the models each page is open at.
OPEN_AT = {
    "home": "crystals",
    "latent_map": "crystals",
    "structure_bench": "crystals",
    "journeys": "crystals",
    "place": "crystals",
    "trust": "crystals",
    "phase_fields": "phase_field_norm",
    "compositions": "formulas",
    "crystals": "crystals",
    "validate": "crystals",
}


@pytest.fixture
def models(crystal_map: Checkpoint, formula_bank: Checkpoint, tmp_path: Path) -> Path:
    """Three small checkpoints."""
    shutil.copytree(Path(__file__).parents[2] / "checkpoints" / "phase_field_norm", tmp_path / "made/phase_field_norm")
    return tmp_path / "made"


def run(test: AppTest) -> list[str]:
    """Run a page; it ends without a fault, and its errors and warnings are lines."""
    test.run()
    assert not test.exception, [each.message for each in test.exception]
    lines = [seen(each.value) for each in (*test.error, *test.warning)]
    assert all("\n" not in line for line in lines)
    return lines


@pytest.mark.parametrize("name", OPEN_AT)
def test_an_open_page_goes_on(name: str, models: Path, tmp_path: Path) -> None:
    of = OPEN_AT[name]
    test = page(name, **({CHOICE[name]: of} if name in CHOICE else {}))
    whole = run(test)
    title = test.title[0].value
    shutil.copytree(models / of, tmp_path / "kept")

    before = checkpoint.load(of)
    assert before.index is not None
    shorter = before.index.iloc[: len(before.index) - 5]
    headline = {"figure": "another", "ours": "99.9 %", "paper": "none"}
    checkpoint.save(replace(before, index=shorter, metrics=before.metrics | {"headline": headline}), models / of)
    assert run(test) == whole
    if name in ("home", "trust"):
        assert "99.9 %" in said(test)
    if name == "latent_map":
        assert f"{len(shorter)} " in said(test)

    shutil.rmtree(models / of)
    gone = run(test)
    assert test.title[0].value == title
    assert len([line for line in gone if of in line]) <= 1

    shutil.copytree(tmp_path / "kept", models / of)
    (models / of / "metrics.json").write_text("{}")
    broken = run(test)
    assert test.title[0].value == title
    if name in ("home", "trust"):
        assert len([line for line in broken if f"{of}: metrics.json" in line]) == 1

    shutil.rmtree(models / of)
    shutil.copytree(tmp_path / "kept", models / of)
    run(test)
    assert run(test) == whole
    if name in ("home", "trust"):
        assert "99.9 %" not in said(test)


@pytest.mark.parametrize("name", ["latent_map", "journeys", "place", "trust", "structure_bench"])
def test_who_had_chosen_a_model_that_is_removed_gets_one_line(name: str, models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "crystals", models / "salts")
    key = CHOICE[name]
    test = page(name, **{key: "salts"})
    run(test)
    assert test.session_state[key] == "salts"
    shutil.rmtree(models / "salts")
    (line,) = [line for line in run(test) if "salts" in line]
    assert line == "salts is not here any more, or cannot be used; this is another model."
    assert not [line for line in run(test) if "salts" in line]  # said once
    assert test.session_state[key] == next(iter(test.selectbox(key=key).options))


@pytest.mark.parametrize("name", ["latent_map", "journeys", "place", "compositions"])
def test_a_click_on_what_has_just_been_removed_breaks_nothing(name: str, models: Path) -> None:
    test = page(name, **{CHOICE[name]: OPEN_AT[name]})
    run(test)
    shutil.rmtree(models / OPEN_AT[name])
    if name == "latent_map":
        test.text_input(key="find").set_value("LiF")
    elif name == "journeys":
        test.selectbox(key="journey").set_value("formulas")
    else:
        label = {"place": "Try it with crystals that the model was not trained on", "compositions": "Generate"}[name]
        next(each for each in test.button if each.label == label).click()
    run(test)


@pytest.mark.parametrize("name", OPEN_AT)
def test_a_map_without_what_it_needs_breaks_no_page(name: str, models: Path) -> None:
    """Without hashes an index of other columns is found where it is used."""
    shutil.copytree(models / "crystals", models / "salts")
    without_hashes(models / "salts")
    index = checkpoint.load("salts").index
    assert index is not None
    index[["z", "formula"]].to_parquet(models / "salts" / "index.parquet")
    run(page(name))
    metrics = json.loads((models / "salts" / "metrics.json").read_text())
    for wrong in ({"maps": []}, {"test": 3}, {"bank": {"seed": "x", "n_samples": 1}}, {"reconstruction": None}):
        (models / "salts" / "metrics.json").write_text(json.dumps(metrics | wrong))
        lines = run(page(name)) if name in ("home", "trust") else []
        assert name not in ("home", "trust") or len([line for line in lines if "metrics.json" in line]) == 1


def test_home_and_trust_say_which_models_have_no_hashes(models: Path) -> None:
    assert NO_HASHES not in said(page("home").run())
    without_hashes(models / "formulas")
    shown = said(page("home").run())
    assert shown.count(NO_HASHES) == 1
    assert [seen(each.value) for each in page("trust", checkpoint="formulas").run().warning] == [NO_HASHES]
    assert not page("trust", checkpoint="crystals").run().warning
