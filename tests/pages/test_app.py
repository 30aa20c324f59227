"""Every page alone and in the app: what it shows, and that what cannot be used costs one line and nothing else."""

import contextlib
import io
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymatgen.core import Lattice, Structure
from streamlit.config import get_config_options
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint
from matgen_core.data import StructureFile
from matgen_core.latent import selection
from matgen_core.materials.levels import PHASE_FIELD
from matgen_core.tasks import ranking
from matgen_core.tasks.crystals import sampling
from matgen_core.tasks.validation import scoreboards, sources
from pages._parts.shared import latent_maps, rankings, server
from pages._parts.words import glossary
from tests.support.crystals import NACL, of_group
from tests.support.page_checks import page, said, seen, whole
from tests.support.serving import ROOT

pytestmark = pytest.mark.usefixtures("fresh_caches")

FEATURED = checkpoint.load("phase_field_norm").representation.elements  # type: ignore[union-attr]
TITLES = {
    "home": "MatGen Explorer",
    "latent_map": "Latent map",
    "structure_bench": "Structure bench",
    "journeys": "Journeys",
    "place": "Place my structures",
    "phase_fields": "Phase fields",
    "compositions": "Compositions",
    "crystals": "Crystals",
    "validate": "Validate",
    "trust": "Trust",
}
PAGES = tuple(TITLES)


@pytest.fixture
def checkpoints_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the checkpoints that a test may break."""
    shutil.copytree(checkpoint.root(), tmp_path / "checkpoints")
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "checkpoints"))
    return tmp_path / "checkpoints"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_runs_alone(name: str) -> None:
    test = page(name).run()
    whole(test)
    assert test.title[0].value == TITLES[name]


def test_the_app_opens_every_page() -> None:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    assert test.title[0].value == TITLES["home"]
    for name in PAGES[1:]:
        test.switch_page(f"pages/{name}.py").run()
        whole(test)
        assert test.title[0].value == TITLES[name]


def test_the_server_knows_every_setting_and_tells_nobody_of_its_visitors() -> None:
    def named(values: dict[str, Any], before: str = "") -> dict[str, Any]:
        found = {}
        for key, value in values.items():
            found |= named(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
        return found

    settings = named(tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text()))
    assert not set(settings) - set(get_config_options())
    assert settings["browser.gatherUsageStats"] is False
    assert settings["server.address"] == "localhost"
    assert not [value for value in settings.values() if "://" in str(value)]  # no font or picture from elsewhere


def test_home_leads_to_every_page_and_tells_both_ranks_of_the_field_that_was_made() -> None:
    test = page("home").run()
    steps = [each.key for each in test.button if str(each.key).startswith("step_")]
    assert steps == [f"step_{number}" for number in range(1, 6)]
    cards = {str(each.key) for each in test.button if str(each.key).startswith("example_")}
    assert cards == {f"example_pages/{name}.py" for name in PAGES if name != "home"}
    shown = said(test)
    for name in ("phase_field_vae", "phase_field_norm"):
        assert ranking.rank_of_made(checkpoint.load(name).metrics) in shown


# The walk of one link goes on beside the next page, and threads that silence warnings undo one another's silence.
@pytest.mark.filterwarnings("default")
def test_every_link_of_home_opens_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "get_ready", lambda: None)  # imports beside a page are a matter of their own
    for key in [str(each.key) for each in page("home").run().button]:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
        next(each for each in test.button if each.key == key).click().run()
        whole(test)
        assert test.title[0].value != TITLES["home"], key


def test_a_word_has_its_meaning_and_its_address() -> None:
    test = page("trust", word="nats").run()
    lists = [each.value for each in test.markdown if each.value.startswith("- :small[")]
    assert "**Nats**" in lists[0].split("\n")[0]
    assert sum(text.count("\n") + 1 for text in lists) == len(glossary.WORDS)
    for word in glossary.WORDS.values():
        assert f"**{word.title}**: {word.meaning}" in "\n".join(lists)
    whole(page("trust", word="[x](y)").run())


def test_trust_compares_the_generators_with_a_persons_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATGEN_WORK", str(tmp_path))
    scoreboards.keep("my model", {"n": 10, "msun": 1.0})
    test = page("trust").run()
    whole(test)
    board = next(each.value for each in test.dataframe if "msun" in each.value)
    assert board["name"][0] == "my model"
    assert set(board["name"][1:]) == set(scoreboards.shipped())
    assert scoreboards.verdict() in said(test)
    (tmp_path / "scoreboard.json").write_text("{")
    whole(page("trust").run(), "move it away to begin anew")


def test_home_names_every_checkpoint() -> None:
    shown = said(page("home").run())
    for name in checkpoint.names():
        assert f"`{name}`" in shown
    assert f"{len(checkpoint.names())} checkpoints ready" in shown


# Phase fields


def test_the_first_view_is_the_published_study() -> None:
    test = page("phase_fields", ranker="phase_field_norm").run()
    assert "**303 fields**" in said(test)
    assert "Li-Si-S-Cl" in test.subheader[0].value
    assert "rank 1 of 303" in said(test)


def test_what_the_score_means_stands_beside_the_ranking() -> None:
    for name in ("phase_field_norm", "phase_field_vae"):
        shown = said(page("phase_fields", ranker=name).run())
        metrics = checkpoint.load(name).metrics
        assert "does not mean stable" in shown
        assert ranking.verdict(metrics) in shown
        assert f"**{metrics['reconstruction']['explained_variance']:.0%}**" in shown


def test_an_address_reopens_a_view() -> None:
    address = {"ranker": "phase_field_norm", "must": "Na", "may": "Al,Si,O,S,Cl", "field": "Al-Na-O-S", "view": "Table"}
    test = page("phase_fields", **address).run()
    whole(test)
    asked = ranking.Choice(("Na",), ("Al", "Si", "O", "S", "Cl"), ranking.STUDY.anions)
    model = checkpoint.load("phase_field_norm")
    table = ranking.rank(model, asked.fields(ranking.known_fields(model)))
    assert f"**{len(table)} fields**" in said(test)
    assert "Na-Al-S-O" in test.subheader[0].value
    shown = next(each.value for each in test.dataframe if "score" in each.value)
    assert list(shown["score"]) == pytest.approx(list(table["score"]))
    assert {key: test.query_params[key] for key in address} == address


def test_what_stands_in_the_state_stands_in_the_address() -> None:
    test = page("phase_fields", ranker="phase_field_norm").run()
    assert "field" not in test.query_params
    test.session_state["field"] = "Li-Mg-O-S"
    test.run()
    assert test.query_params["field"] == "Li-Mg-O-S"
    test.query_params["field"] = "Al-Li-O-S"  # a link to another view wins over what was there
    test.run()
    assert test.session_state["field"] == "Al-Li-O-S"
    assert "Li-Al-S-O" in test.subheader[0].value


def test_a_set_is_excluded_and_allowed_by_one_click() -> None:
    test = page("phase_fields", ranker="phase_field_norm").run()
    test.session_state["may"] = "Mg,Cd,Hg,Pb,O,S"
    test.run()
    assert "toxic" not in test.session_state["sets_never"]
    never = next(each for each in test.button_group if each.key == "sets_never")
    never.set_value([*never.value, "toxic"]).run()
    assert test.session_state["may"] == "Mg,O,S"
    assert "toxic" in test.session_state["sets_never"]
    never = next(each for each in test.button_group if each.key == "sets_never")
    never.set_value([each for each in never.value if each != "toxic"]).run()
    assert test.session_state["may"] == "Mg,O,S,Be,As,Cd,Hg,Tl,Pb"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ({"must": "Li,Na,K"}, "has no place for them"),
        ({"must": "", "may": ",".join(each for each in FEATURED if each != "Li")}, "ranks up to 100,000 at once"),
        ({"must": "", "may": ""}, "No element is chosen"),
        ({"must": "Li", "may": "Mg,Bk,O,S"}, "Bk: this model has no features"),
        ({"must": "Li", "may": "O,S"}, "no phase fields to rank"),
        ({"must": "Lx"}, "'Lx' is no element"),
        ({"filter": "has:Xx"}, "'Xx' is no element"),
        ({"field": "Li-Xx"}, "'Xx' is no element"),
        ({"field": "Li-O-S"}, "this model ranks fields of 4"),
    ],
)
def test_what_cannot_be_used_costs_one_line(address: dict[str, str], said: str) -> None:
    test = page("phase_fields", ranker="phase_field_norm", **address).run()
    whole(test, "")
    assert said in seen(test.error[0].value)


def test_the_table_holds_every_ranker_and_the_card_says_why_they_differ() -> None:
    test = page("phase_fields", ranker="phase_field_vae", view="Table", field="Cl-Li-S-Sn").run()
    whole(test)
    models = [checkpoint.load(name) for name in ("phase_field_vae", "phase_field_norm")]
    table = ranking.compare(models, ranking.STUDY.fields(ranking.known_fields(models[0])))
    shown = next(each.value for each in test.dataframe if "score" in each.value)
    for column in ("rank", "phase_field_norm_rank", "pair_co_occurrence_score"):
        assert list(shown[column]) == pytest.approx(list(table[column]))
    for each in ranking.standings(table, "Cl-Li-S-Sn", "phase_field_vae"):
        assert each.in_words() in said(test)
    assert ranking.why_they_differ(models) in said(test)


def test_the_card_follows_the_filter_and_goes_back() -> None:
    test = page("phase_fields", ranker="phase_field_norm", field="Li-O-P-S", filter="Li-Sn-S-Cl").run()
    assert "1 of them passes the filter" in said(test)
    assert test.subheader[0].value == "Li-Sn-S-Cl"
    test.text_input(key="filter").set_value("Li-Sn-*-*").run()
    assert "of them pass the filter" in said(test)
    test.text_input(key="filter").set_value("").run()
    assert test.subheader[0].value == PHASE_FIELD.display("Li-O-P-S")


def test_a_known_field_is_said_to_be_known_with_its_compounds() -> None:
    known = checkpoint.load("phase_field_norm").index["phase_field"].iloc[5]  # type: ignore[index]
    test = page("phase_fields", ranker="phase_field_norm", field=known).run()
    shown = said(test)
    assert "Known fields are not ranked" in shown
    assert "known: in the training data" in shown
    assert f"**{PHASE_FIELD.display(known)}**: " in shown
    other = page("phase_fields", ranker="phase_field_norm", field="K-Na-O-S").run()
    assert "Not among the fields ranked here" in said(other)


def test_an_empty_choice_is_mended_where_it_is_told() -> None:
    test = page("phase_fields", ranker="phase_field_norm", must="", may="").run()
    whole(test, "No element is chosen")
    test.multiselect(key="mend").set_value(["Li", "Na", "O", "S", "Cl"]).run()
    whole(test)
    assert "**3 fields**" in said(test)
    test.session_state["must"], test.session_state["may"] = "", ""
    test.run()
    test.button(key="mend_all").click().run()
    assert "**303 fields**" in said(test)


def test_what_a_ranker_has_not_learned_is_told() -> None:
    assert not page("phase_fields", ranker="phase_field_norm").run().warning
    test = page("phase_fields", ranker="phase_field_norm", n_anions="0").run()
    whole(test)
    assert "no anions: alloys" in seen(test.warning[0].value)
    model = checkpoint.load("phase_field_norm")
    alike, n = ranking.known_alike(model, replace(ranking.STUDY, n_anions=0))
    assert f"Of the {n:,} known fields of {model.name} {alike} are like that" in seen(test.warning[0].value)
    test = page("phase_fields", ranker="phase_field_norm", n_elements="5").run()
    assert "ranks fields of 4, so these are shown" in seen(test.warning[0].value)
    elements = next(each for each in test.number_input if each.label == "Elements")
    assert (elements.min, elements.max, elements.value, elements.disabled) == (4, 4, 4, True)


def test_a_file_has_the_elements_in_the_order_of_the_screen() -> None:
    model = checkpoint.load("phase_field_norm")
    table = ranking.rank(model, ranking.STUDY.fields(ranking.known_fields(model)))
    written = rankings.for_a_file(table)
    assert written["phase_field"].iloc[0] == "Li-Si-S-Cl"
    assert list(written["phase_field"]) == [PHASE_FIELD.display(each) for each in table["phase_field"]]


def test_a_filter_keeps_what_it_finds() -> None:
    test = page("phase_fields", ranker="phase_field_norm", filter="Li-Sn-*-*", view="Table").run()
    shown = next(each.value for each in test.dataframe if "score" in each.value)
    assert len(shown) == 21
    assert all("Sn" in field for field in shown["phase_field"])
    test = page("phase_fields", ranker="phase_field_norm", filter="has:Pb").run()
    assert "No field passes the filter" in test.info[0].value


# Place my structures


def test_the_page_opens_on_the_first_crystal_that_has_a_place() -> None:
    salt = of_group("Fm-3m", Lattice.cubic(5.69), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    test = page("place", place_model="icsg3d")
    test.session_state["place_files"] = [
        StructureFile("no.cif", "no", problem="it is no CIF"),
        StructureFile("hexagonal.cif", "hexagonal", Structure(Lattice.hexagonal(3, 5), ["Mg"], [[0, 0, 0]])),
        StructureFile("large.cif", "large", salt.get_primitive_structure() * (5, 5, 5)),
    ]
    test.run()
    whole(test)
    shown = said(test)
    assert "**NaCl · large.cif**" in shown
    assert "as near as the training data" in shown
    assert [each.value for each in test.subheader] == ["Placed: 1 of 3"]
    assert "**Not placed: 2**" in shown
    left_out = next(each.value for each in test.dataframe if list(each.value.columns) == ["file", "formula", "problem"])
    assert list(left_out["file"]) == ["no.cif", "hexagonal.cif"]


# Latent map


def test_a_known_field_has_its_card_with_its_true_neighbors() -> None:
    name = checkpoint.load("phase_field_vae").index["phase_field"].iloc[7]  # type: ignore[index]
    test = page("latent_map", at=name).run()
    whole(test)
    assert test.subheader[0].value == PHASE_FIELD.display(name)
    assert "known: in the training data" in said(test)
    near = next(each.value for each in test.dataframe if "distance" in each.value)
    assert near["distance"].is_monotonic_increasing
    assert PHASE_FIELD.display(name) not in list(near["name"])


def test_a_field_that_is_not_known_is_placed() -> None:
    test = page("latent_map", at="Cl-Li-S-Sn", candidates="true").run()
    whole(test)
    assert "not in the training data" in said(test)
    assert "303 not known and placed by their true neighbors" in said(test)


def test_a_search_lists_what_it_finds() -> None:
    index = checkpoint.load("phase_field_vae").index
    assert index is not None
    with_lithium = [field for field in index["phase_field"] if "Li" in field.split("-")]
    test = page("latent_map", find="has:Li").run()
    assert f"Found: {len(with_lithium)} fields" in said(test)
    test = page("latent_map", find="has:Lithium").run()
    whole(test, "")


def lasso_round_everything() -> selection.Lasso:
    """What the map sends when the whole of it is outlined."""
    path = {"origin": [-1000, -1000], "step": 1, "path": [2000, 0, 0, 2000, -2000, 0]}
    return selection.Lasso.from_event({"op": "new", "polygon": path})


def test_a_lasso_becomes_a_table_that_outlives_color_and_projection() -> None:
    index = checkpoint.load("phase_field_vae").index
    assert index is not None
    positions = index[["umap_x", "umap_y"]].to_numpy()
    chosen = selection.extend(None, positions, lasso_round_everything(), "umap")
    assert chosen is not None
    three = replace(chosen, mask=index.index < 3)
    test = page("latent_map")
    test.session_state["selection"] = ("phase_field_vae", three)
    test.run()
    steps = (("selectbox", "projection", "pca"), ("selectbox", "color", "reconstruction_error"))
    for kind, key, value in (*steps, ("text_input", "find", "has:F")):
        getattr(test, kind)(key=key).set_value(value).run()
        whole(test)
        n = sum("F" in field.split("-") for field in index["phase_field"][:3]) if key == "find" else 3
        assert f"Selected by lasso: {n} fields" in said(test)
        assert f"Showing {n} of {len(index):,} known fields" in said(test)
        assert len(next(each.value for each in test.dataframe if "split" in each.value)) == n
    test.session_state["selection"] = ("another_model", three)
    test.text_input(key="find").set_value("").run()
    assert f"Showing {len(index):,} of {len(index):,}" in said(test)


def test_crystals_have_a_map_with_values_and_units(crystal_map: checkpoint.Checkpoint) -> None:
    test = page("latent_map", at="mp-3").run()
    whole(test, "")
    assert "does not decode" in seen(test.error[0].value)  # the network is untrained
    assert test.subheader[0].value == "NaF"
    shown = said(test)
    assert "Showing 60 of 60 known crystals" in shown
    assert "Formation energy **-2.847** eV/atom" in shown
    assert "Space group **Fm\u20113m\u00a0(225)**" in shown
    assert "The original is not shown: unknown data set 'salts'" in shown
    near = next(each.value for each in test.dataframe if "distance" in each.value)
    assert near["distance"].is_monotonic_increasing
    assert "mp-3" not in list(near["id"])


@pytest.mark.parametrize(("find", "n"), [("NaCl", 7), ("mp-5", 1), ("Li-*", 21), ("has:K not:F", 12)])
def test_crystals_are_found_by_formula_elements_and_id(crystal_map: checkpoint.Checkpoint, find: str, n: int) -> None:
    test = page("latent_map", find=find).run()
    whole(test)
    assert f"Found: {n} crystals" in said(test)
    assert f"Showing {n} of 60 known crystals" in said(test)


@pytest.mark.parametrize("color", ["One element", "Formation energy", "Space group", "Faithfulness of the map"])
def test_crystals_take_every_color(crystal_map: checkpoint.Checkpoint, color: str) -> None:
    whole(page("latent_map", color=color, projection="PCA").run())


def test_a_card_of_another_kind_costs_one_line() -> None:
    test = page("latent_map", map="phase_field_vae", at="mp-999").run()
    whole(test, "")
    assert "mp-999 is no phase field" in seen(test.error[0].value)


def test_a_crystal_that_is_not_here_costs_one_line(crystal_map: checkpoint.Checkpoint) -> None:
    test = page("latent_map", at="mp-999").run()
    whole(test, "")
    assert "mp-999 is not among the crystals" in seen(test.error[0].value)


@pytest.mark.parametrize(
    ("color", "projection"),
    [
        ("One element", "UMAP"),
        ("Score", "t-SNE"),
        ("Split", "PCA"),
        *(("Faithfulness of the map", projection) for projection in ("UMAP", "t-SNE", "PCA")),  # each has its own
    ],
)
def test_every_color_and_every_projection(color: str, projection: str) -> None:
    test = page("latent_map", color=color, projection=projection).run()
    whole(test)
    assert {key: test.query_params.get(key, "UMAP") for key in ("color", "projection")} == {
        "color": color,
        "projection": projection,
    }


# What is missing or broken


@pytest.mark.parametrize("file", ["config.json", "metrics.json"])
def test_a_broken_checkpoint_costs_one_line_and_the_others_work(checkpoints_copy: Path, file: str) -> None:
    (checkpoints_copy / "phase_field_vae" / file).write_text('{"format": ')
    for name in ("home", "trust"):
        test = page(name).run()
        whole(test, "")
        assert "phase_field_vae" in seen(test.error[0].value)
        assert "matgen train phase_field_vae" in seen(test.error[0].value)
    test = page("phase_fields").run()
    whole(test)
    assert "**303 fields**" in said(test)


def test_cut_off_weights_cost_one_line_where_they_are_used(checkpoints_copy: Path) -> None:
    weights = checkpoints_copy / "phase_field_vae" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    for name in ("latent_map", "phase_fields"):
        test = page(name).run()
        whole(test, "")
        assert "weights.safetensors cannot be used" in seen(test.error[0].value)
    whole(page("phase_fields", ranker="phase_field_norm").run(), "")  # its nearest known fields


@pytest.mark.parametrize("name", PAGES)
def test_without_checkpoints_a_page_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    test = page(name).run()
    whole(test)
    assert any("matgen train" in each.value for each in test.info)


@pytest.mark.parametrize("name", PAGES)
def test_the_same_in_python_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "EXAMPLE", 1)  # a relaxation takes seconds, of a large crystal a minute
    made = sources.of_structures
    small = NACL.get_primitive_structure()
    monkeypatch.setattr(sources, "of_structures", lambda names, _: made(names, [small] * len(names)))
    monkeypatch.setattr(sampling, "EXAMPLE", 2)
    test = page(name).run()
    (code,) = [each.value for each in test.code if each.language == "python"]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(code, name, "exec"), {})
    assert output.getvalue().strip()
    if name == "phase_fields":
        first = test.subheader[0].value
        assert first in {PHASE_FIELD.display(word) for word in output.getvalue().split() if word.count("-") == 3}


def test_candidates_on_the_map_carry_their_rank() -> None:
    test = page("latent_map", map="phase_field_vae", at="Cl-Li-S-Sn", candidates="true").run()
    whole(test)
    shown = said(test)
    assert "rank 143 of 303, 90 % interval 103 to 173" in shown
    assert "rank 5 of 303" in shown
    assert ":orange[◆] rank 1 to :gray[◆] rank 303" in [each.value for each in test.caption]
    where = latent_maps.placed("phase_field_vae", "umap", ("Cl-Li-S-Sn", "Cl-Li-N-Y"))
    pin, first = latent_maps.markers("phase_field_vae", where, "Cl-Li-S-Sn", {"Cl-Li-N-Y": 1, "Cl-Li-S-Sn": 143})
    assert (pin.kind, first.kind) == ("pin", "sample")
    assert (pin.standing, first.standing) == (1.0, 0.0)
