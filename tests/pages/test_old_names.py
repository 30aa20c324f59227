"""Checkpoints that were renamed: old links, addresses and commands find them, and say so; no other is shown for one."""

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint
from matgen_core.checkpoint import renamed
from tests.support.page_checks import seen, whole
from tests.support.serving import ROOT
from tests.support.writers import untrained

pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A language model under its new name, and another generator that has the old one by now."""
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    headline = {"figure": "some", "ours": "1", "paper": "2"}
    for name in ("another", "formula_lm_icsd", "matgan_icsd"):  # what is chosen first is in no address
        checkpoint.save(replace(untrained(), metrics={"headline": headline}), tmp_path / name)
    return tmp_path


def opened(going_on: bool = False, **address: str) -> AppTest:
    """Home in a new session, or in one that has made this address itself."""
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    test.query_params |= address
    if going_on:
        test.session_state["old_names@known"] = True
    return whole(test.run())


def warnings(test: AppTest) -> list[str]:
    return [seen(each.value) for each in test.warning if "This link" in each.value]


@pytest.mark.usefixtures("both")
def test_an_old_link_opens_the_model_that_it_was_made_for_and_says_so() -> None:
    test = opened(generator="matgan_icsd", camera="matgan_icsd,umap,inf,0,1", has="O,Li")
    given = {key: test.query_params[key] for key in test.query_params}
    assert given == {"generator": "formula_lm_icsd", "camera": "formula_lm_icsd,umap,inf,0,1", "has": "O,Li"}
    line = "This link is from when the language model formula_lm_icsd was called matgan_icsd: it opens that model."
    assert warnings(test) == [line]


@pytest.mark.usefixtures("both")
def test_a_link_of_today_opens_the_model_that_has_the_name_now() -> None:
    chosen = opened(going_on=True, generator="matgan_icsd")  # in the app itself
    given = {key: chosen.query_params[key] for key in chosen.query_params}
    assert set(given) == {"generator", "names"}
    for test in (chosen, opened(**given)):
        assert {key: test.query_params[key] for key in test.query_params} == given
        assert warnings(test) == []
    other = opened(generator="formula_lm_icsd", names=given["names"])
    assert warnings(other) == []
    assert "names" not in other.query_params


def test_only_whole_names_are_old_ones() -> None:
    text = "matgan_icsd,umap,inf,0,1 matgan_icsd_filtered xmatgan_icsd matgan_icsd_2 matgan_oqmd-x matgan_oqmd"
    assert renamed.names_in(text) == ["matgan_icsd", "matgan_icsd_filtered", "matgan_oqmd"]
    assert renamed.brought_up_to_date(text) == (
        "formula_lm_icsd,umap,inf,0,1 formula_lm_icsd_filtered xmatgan_icsd matgan_icsd_2 matgan_oqmd-x formula_lm_oqmd"
    )


def test_a_command_says_what_became_of_a_name(both: Path, run) -> None:
    rows = (
        ("matgan_icsd", 0, "matgan_icsd is the GAN of the paper; the language model that had this name is"),
        ("formula_lm_icsd", 0, ""),
        ("matgan_oqmd", 2, "matgan_oqmd is called formula_lm_oqmd now"),  # and that is not here
        ("matgan", 2, "matgan: no such checkpoint"),
    )
    for name, expected, line in rows:
        code, _, err = run("generate", name, "-n", "3", "--out", both / f"{name}.csv")
        assert code == expected, (name, err)
        assert line in err
        assert bool(line) or "called" not in err
    (both / "matgan_icsd" / "config.json").unlink()
    (both / "matgan_icsd" / "weights.safetensors").unlink()
    code, _, err = run("generate", "matgan_icsd", "-n", "3", "--out", both / "made.csv")
    assert (code, "matgan_icsd is called formula_lm_icsd now, a language model; that one is used" in err) == (0, True)
    with pytest.raises(checkpoint.CheckpointError, match="it is called formula_lm_icsd now"):
        checkpoint.load("matgan_icsd")
