"""What anybody may write behind a page's address: every parameter there is, and what it may be made to hold."""

import os
import random
import re
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint
from pages._parts.shared import widgets
from tests.support.page_checks import drawn_as_markdown, page
from tests.support.serving import ROOT

pytestmark = pytest.mark.usefixtures("fresh_caches")

IMAGE, WEB = "![x](http://evil.example/p.png)", "www.evil.example"
HOSTILE: tuple[str | list[str], ...] = (
    IMAGE,
    f"a,{IMAGE},Li",
    f"Li-{WEB}-S",
    f"has:{IMAGE}",
    WEB,
    "a@evil.example",
    "<img src=http://evil.example/x.png>",
    "[x](javascript:alert(1))",
    "$x^2$ :red[x] :material/evil: `x`",
    "icsg3d:www.evil.example,upload:a,crystals:![x](http://evil.example/p.png):original",
    "1e999",
    "-inf",
    "nan",
    "-1",
    "9" * 400,
    "1_0",
    "",
    ",",
    "\x00",
    "\u202egnp.evil",
    "Na1e999",
    "x" * 20_000,
    ["Li", IMAGE],
    ["", ""],
)
ALWAYS = (IMAGE, "inf", "")  # every parameter is tried with these, whatever chance chooses
N_RUNS = int(os.environ.get("MATGEN_FUZZ", "12"))  # with values that chance chooses, over all pages
# What must not reach the browser as Markdown: image, link, script, color, icon, mathematics, name of a host, address.
OBEYED = re.compile(
    r"(?<!\\)(!\[|<img|<script|:red\[|\$x)|\]\((?!https://doi\.org/10\.)|:material/evil|www\\?\."
    r"|[hH]ttps?\\?:(?!//doi\.org/10\.)|\w@\w|[\x00\u202e]"
)
# Where a page shows what it does not show at first.
VIEWS: dict[str, tuple[dict[str, str], ...]] = {
    "latent_map": (
        {"map": "crystals", "color": "One element"},
        {"map": "formulas"},
        {"map": "phase_field_vae", "candidates": "true"},
    ),
    "journeys": tuple(
        {"journey": model, "mode": mode}
        for model, mode in (("crystals", "Path"), ("formulas", "Axis"), ("crystals", "Samples"), ("crystals", "Axis"))
    ),
    "structure_bench": ({"bench_view": "Diffraction", "bench": "crystals:mp-0"}, {}),
    "compositions": ({"generator": "formulas"},),
    "phase_fields": ({"ranker": "phase_field_norm"},),
    "place": ({},),
    "crystals": ({}, {"crystals": "crystals,n=2,seed=0"}),
    "validate": ({}, {"validate_source": "A generator"}),
    "trust": ({},),
    "home": ({},),
}


@pytest.fixture
def small(crystal_map: checkpoint.Checkpoint, formula_bank: checkpoint.Checkpoint, tmp_path: Path) -> Path:
    """A model of every level, the networks tiny where one must be drawn from."""
    for name in ("phase_field_norm", "phase_field_vae"):
        shutil.copytree(ROOT / "checkpoints" / name, tmp_path / "made" / name)
    return tmp_path / "made"


@pytest.fixture
def parameters(small: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Every parameter of every page: those that inputs are bound to, and those that the pages read themselves."""
    found: dict[str, set[str]] = defaultdict(set)
    remembered = widgets.remembered
    for name, views in VIEWS.items():

        def noted(key: str, default: str = "", of: str = name) -> str:
            found[of].add(key)
            return remembered(key, default)

        monkeypatch.setattr(widgets, "remembered", noted)
        for address in views:
            test = page(name, **address).run()
            assert not test.exception, (name, address)
            bound = (getattr(each.proto, "query_param_key", "") for each in test.main if hasattr(each, "proto"))
            found[name] |= {key for key in bound if key} | set(address)
    monkeypatch.setattr(widgets, "remembered", remembered)
    found["latent_map"].add("view")
    return found


def shown(name: str, address: dict[str, str | list[str]]) -> AppTest:
    """A page at an address: it runs to its end, and nothing of the address is obeyed."""
    test = page(name)
    test.query_params.update(address)
    test.run()
    about = f"{name} at { {key: str(value)[:80] for key, value in address.items()} }"
    assert test.title, about
    assert not test.exception, about
    assert all("\n" not in each.value and len(each.value) < 6_000 for each in test.error), about
    obeyed = [text for text in drawn_as_markdown(test) if OBEYED.search(text)]
    assert not obeyed, f"{about}: {obeyed}"
    return test


def test_every_parameter_may_hold_anything(parameters: dict[str, set[str]]) -> None:
    assert {name for name, keys in parameters.items() if keys} == set(VIEWS) - {"home"}
    assert sum(map(len, parameters.values())) > 45, "parameters are no longer found"
    rng = random.Random(0)
    asked: list[tuple[str, dict[str, str | list[str]]]] = []
    for name, keys in parameters.items():
        views = VIEWS[name]
        for value in ALWAYS:
            order = sorted(keys)
            rng.shuffle(order)
            for start in range(0, len(order), 6):  # so that one value does not hide the others
                asked.append((name, {**rng.choice(views), **dict.fromkeys(order[start : start + 6], value)}))
    names = [name for name, keys in parameters.items() for _ in keys]  # as often as a page has parameters
    for _ in range(N_RUNS):
        name = rng.choice(names)
        mixed = rng.sample(sorted(parameters[name]), min(rng.choice((1, 2, 2, 3)), len(parameters[name])))
        asked.append((name, {**rng.choice(VIEWS[name]), **{key: rng.choice(HOSTILE) for key in mixed}}))
    for name, address in asked:
        shown(name, address)


def test_addresses_that_once_broke_a_page(small: Path) -> None:
    camera = "eJyrVipTsjLUUcrNT0nNUbJSykwuTjdOUdJRSk7MTS1KVLKKthwFgwroGOgYxtYCAOSSZO4"
    broken: tuple[tuple[str, dict[str, str]], ...] = (
        ("phase_fields", {"n_elements": "inf", "n_anions": "-1e999"}),
        ("journeys", {"mode": ""}),
        ("journeys", {"mode": "Samples", "around": "", "seed": "inf"}),
        ("journeys", {"mode": "Axis", "axis": "", "axis_number": "inf"}),
        ("journeys", {"way": "", "n_path": "Infinity"}),
        ("compositions", {"n": "inf", "seed": "-inf", "atoms_to": "1e400"}),
        ("latent_map", {"view": camera}),
        ("latent_map", {"camera": "crystals,umap,inf,0,1", "map": "crystals"}),
        ("latent_map", {"camera": "crystals,umap,0,0,1e300", "map": "crystals"}),
        ("latent_map", {"find": IMAGE}),
    )
    for name, address in broken:
        shown(name, dict(address))
    test = shown("phase_fields", {"ranker": "phase_field_norm", "n_anions": "inf"})
    assert "n_anions" not in test.query_params
    assert next(each for each in test.number_input if each.key == "n_anions").value == 2
    assert page("phase_fields", n_anions="1").run().session_state["n_anions"] == 1


EVIL = f"{IMAGE} {WEB} :red[x] $x$ <img src=http://evil.example/y.png>"


def test_what_a_checkpoint_folder_says_is_shown_and_not_obeyed(
    small: Path, crystal_map: checkpoint.Checkpoint, formula_bank: checkpoint.Checkpoint
) -> None:
    name = "www.evil.example $x$ :red[x]"
    for made in (crystal_map, formula_bank):
        shutil.rmtree(small / made.name)
        assert made.index is not None
        index = made.index.assign(id=[f"{EVIL} {number}" for number in range(len(made.index))])
        index = index.assign(family=EVIL) if "family" in index else index
        headline = {"figure": EVIL, "ours": EVIL, "paper": EVIL}
        facts = {**made.provenance, "title": EVIL, "system": EVIL, "datasets": {EVIL: EVIL}, "commit": EVIL}
        card = f"# Heading\n\n{EVIL.replace(':red[x]', '')} [paper](https://doi.org/10.1039/D0CP03508D)"
        called = f"{name} {made.name}"
        written = replace(
            made,
            name=called,
            provenance=facts,
            card=card,
            metrics={**made.metrics, "headline": headline},
            index=index,
        )
        checkpoint.save(written, small / called)
    crystals, formulas = f"{name} crystals", f"{name} formulas"
    key = f"{EVIL} 3"
    for page_name, address in (
        ("home", {}),
        ("trust", {"checkpoint": crystals}),
        ("latent_map", {"map": crystals, "at": key, "color": "Family"}),
        ("latent_map", {"map": formulas, "at": key}),
        ("latent_map", {"map": formulas, "at": "LiF"}),
        ("journeys", {"journey": crystals, "via": f"{key},{EVIL} 4"}),
        ("journeys", {"journey": formulas, "mode": "Samples", "around": "prior"}),
        ("structure_bench", {"bench_model": crystals}),
        ("place", {"place_model": crystals}),
        ("compositions", {"generator": formulas}),
    ):
        test = shown(page_name, dict(address))
        assert not test.error or page_name == "latent_map", [each.value for each in test.error]
    texts = drawn_as_markdown(shown("trust", {"checkpoint": crystals}))
    assert any("[paper](https://doi.org/10.1039/D0CP03508D)" in text for text in texts)
