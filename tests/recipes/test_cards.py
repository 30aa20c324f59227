"""Cards: rendered from the two files of a checkpoint alone, with no figure typed, and written anew by a command."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, nodes

from matgen_core import checkpoint
from matgen_core.data import DATASETS
from matgen_core.recipes import RECIPES
from matgen_core.recipes.shared import card as cards
from matgen_core.recipes.shared.card import HEADINGS, n_weights, paper, render, rewrite, system_folder
from tests.support.broken import without_hashes
from tests.support.commands import matgen

TEMPLATES = sorted([*cards.RECIPES.glob("*/card.md"), *cards.SHARED.glob("*.md")])

# Digits that are no figures: references, names of networks, materials, data and numbers in names of properties.
NAMES = re.compile(
    r"7net-0|7net-l3i5|at_0\d*|doi:\S+|arXiv:\d{4}\.\d{5}|iCSG3D|icsg3d|Perov-5|Ti2O4|2DMatPedia|2D|SHA-256"
)


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with copies of two small checkpoints, without their weights."""
    for name in ("phase_field_norm", "two_d_screen"):
        shutil.copytree(checkpoint.root() / name, tmp_path / name, ignore=shutil.ignore_patterns("weights*"))
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    return tmp_path


def without(document: Any, *path: str) -> Any:
    """A copy of a JSON object that lacks one figure."""
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return copy


@pytest.mark.parametrize("name", checkpoint.names())
def test_a_shipped_card_says_what_its_folder_holds(name: str) -> None:
    written = (checkpoint.root() / name / "card.md").read_text()
    assert render(name, *checkpoint.documents(name)) == written
    first_screen = written.split("\n## Data\n")[0].splitlines()
    assert len(first_screen) <= 28
    assert max(len(line) for line in first_screen if not line.startswith("|")) < 450


@pytest.mark.parametrize("name", checkpoint.names())
def test_counts_of_weights_and_rows_are_those_of_the_network_and_the_data(name: str) -> None:
    config, metrics = checkpoint.documents(name)
    assert metrics["n_weights"] == n_weights(checkpoint.load(name).model)
    assert set(config["datasets"]) <= set(config["rows"])
    of_parts: dict[str, int] = {}
    for data_set, n in config["rows"].items():
        if data_set in DATASETS:
            assert n == DATASETS[data_set].rows
        else:  # a part after a slash, a narrower choice after a comma
            whole = re.split("[/,]", data_set)[0]
            of_parts[whole] = of_parts.get(whole, 0) + n
    for whole, n in of_parts.items():
        assert 0 < n <= (DATASETS[whole].rows or 0)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("phase_field_norm", ("evidence", "same_counts", "auc")),
        ("phase_field_vae", ("candidates", "rank_correlation_with_published")),
        ("cgcnn_energy", ("test", "band_gap", "mae_of_median")),
        ("ding", ("judge_within_tolerance", "volume_per_atom")),
        ("formula_lm_icsd", ("n_weights",)),
        ("formula_lm_icsd", ("data", "others")),  # a word
        ("icsg3d", ("reconstruction_test", "all", "valid_match_rate")),
        ("two_d_screen", ("calibration", "isotonic", "brier")),
    ],
)
def test_a_missing_figure_is_named(name: str, path: tuple[str, ...]) -> None:
    config, metrics = checkpoint.documents(name)
    with pytest.raises(ValueError, match=f"{name}: its card cannot be written.*{path[-1]}"):
        render(name, config, without(metrics, *path))


def test_a_figure_that_was_not_defined_says_so() -> None:
    config, metrics = checkpoint.documents("icsg3d")
    metrics["condition"]["unconditioned"]["rank_correlation"] = None
    assert ", 28.6%, not defined." in render("icsg3d", config, metrics)


def test_every_figure_comes_from_the_files() -> None:
    """Another figure in the file is another figure on the first screen."""
    config, metrics = checkpoint.documents("cgcnn_energy")
    metrics["test"]["band_gap"]["mae"] = 0.7654
    assert "| band gap (eV)               | 0.765 |" in render("cgcnn_energy", config, metrics).split("## Data")[0]


def typed(source: str) -> list[str]:
    """Text of a template, and what its expressions put there that comes from no file."""
    environment = Environment()
    environment.filters |= cards.FILTERS
    tree = environment.parse(source)
    paths = [keyword.value for keyword in tree.find_all(nodes.Keyword) if keyword.key == "attribute"]
    keys = [item.arg for item in tree.find_all(nodes.Getitem)]
    looked_up = {id(const) for each in paths + keys for const in [each, *each.find_all(nodes.Const)]}
    names = [each for each in tree.find_all(nodes.Const) if isinstance(each.value, str) and id(each) not in looked_up]
    numbers = [each.node for each in tree.find_all((nodes.Assign, nodes.Filter))]
    numbers += [each for output in tree.find_all(nodes.Output) for each in output.nodes]
    return [
        *(each.data for each in tree.find_all(nodes.TemplateData)),
        *(each.value for each in names if not each.value.isidentifier()),
        *(str(each.value) for each in numbers if isinstance(each, nodes.Const)),
    ]


def figure_in(texts: list[str]) -> str | None:
    found = (re.search(r".{0,30}\d.{0,30}", NAMES.sub("", text)) for text in texts)
    return next((each[0] for each in found if each), None)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_figure_is_typed(path: Path) -> None:
    assert figure_in(typed(path.read_text())) is None


@pytest.mark.parametrize(
    "source",
    [
        "of 30 lines",
        "{{ '47%' if x }}",
        "{{ 0.47 | percent }}",
        "{{ 3 }}",
        "{% set n = 30 %}",
        "{% if x %}87 %{% endif %}",
    ],
)
def test_a_typed_figure_is_found(source: str) -> None:
    assert figure_in(typed(source))


def test_figures_of_papers_have_their_source() -> None:
    for file in [*cards.RECIPES.glob("*/paper.json"), cards.SHARED / "paper.json"]:
        held = json.loads(file.read_text())
        for sourced in [held] if "source" in held else held.values():
            assert re.search(r"doi:10\.\d{4}/\S+|arXiv:\d{4}\.\d{5}|^an audit of \d+ \w+ \d{4}", sourced["source"]), (
                file
            )


def test_a_recipe_has_the_card_of_its_system() -> None:
    for name, recipe in RECIPES.items():
        assert system_folder(name).name == type(recipe).__module__.split(".")[-2]
    with pytest.raises(
        ValueError,
        match="'icsg4d' belongs to no system with a card; known: cgcnn, crystalgan, ding, formation_references",
    ):
        system_folder("icsg4d")


def test_figures_of_one_paper_stand_over_those_that_are_shared() -> None:
    assert paper("icsg3d")["perov5"] == paper()["perov5"]
    assert paper("icsg3d")["source"].startswith("Court")
    assert "source" not in paper()


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The card.md of a system `some`, with the headings and no figures."""
    monkeypatch.setattr(cards, "RECIPES", tmp_path)
    (tmp_path / "some").mkdir()
    file = tmp_path / "some" / "card.md"
    file.write_text("\n\n".join(["# Some", *(f"## {heading}\n\nText." for heading in HEADINGS)]))
    return file


@pytest.mark.parametrize("change", [("## What it is not for", "## Out of scope"), ("## Data", "Data")])
def test_a_card_has_the_headings(template: Path, change: tuple[str, str]) -> None:
    text = template.read_text()
    assert render("some", {"recipe": "some"}, {}) == text + "\n"
    template.write_text(text.replace(*change))
    with pytest.raises(ValueError, match="a card has the headings What it is, How good it is"):
        render("some", {"recipe": "some"}, {})


def test_paragraphs_stand_on_a_line_and_tables_in_columns(template: Path) -> None:
    text = "# A\nOne\ntwo ,  three.\n\n\n- a\n  b\n- c\n\n| x | long |\n|:--|--:|\n| words | 1 |\n"
    template.write_text(template.read_text().replace("# Some", text))
    written = render("some", {"recipe": "some"}, {}).split("\n\n## What it is\n")[0]
    assert written == "# A\nOne two, three.\n\n- a b\n- c\n\n| x     | long |\n| ----- | ---: |\n| words |    1 |"
    template.write_text(template.read_text().replace("| words | 1 |", "| words |"))
    with pytest.raises(ValueError, match="rows differ in length"):
        render("some", {"recipe": "some"}, {})


def test_the_command_writes_cards_anew(
    copies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {path: path.read_bytes() for path in copies.rglob("*") if path.is_file()}
    for name in ("phase_field_norm", "two_d_screen"):
        (copies / name / "card.md").write_text("old")
    assert matgen("card", "phase_field_norm", monkeypatch=monkeypatch) == 0
    assert tuple(capsys.readouterr()) == ("", f"wrote {copies / 'phase_field_norm' / 'card.md'}\n")
    assert (copies / "two_d_screen" / "card.md").read_text() == "old"
    assert matgen("card", "--all", monkeypatch=monkeypatch) == 0
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert {path: path.read_bytes() for path in copies.rglob("*") if path.is_file()} == files


def test_the_shipped_figures_are_those_of_the_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "figures.md"
    assert matgen("card", "--figures", str(written), monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().err == f"wrote {written}\n"  # and no card
    shipped = Path(cards.__file__).parents[3] / "docs" / "figures.md"
    assert written.read_text() == shipped.read_text(), "write it anew with: matgen card --figures docs/figures.md"


def test_figures_of_too_few_checkpoints_cost_one_line(
    copies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "figures.md"
    assert matgen("card", "--figures", str(written), monkeypatch=monkeypatch) == 2
    assert "phase_field_vae: no such checkpoint" in capsys.readouterr().err
    assert not written.exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nope"], "matgen: nope: no such checkpoint in "),
        ([], "matgen: name the checkpoints whose cards are to be written, or give --all"),
        (["two_d_screen", "--all"], "matgen: name the checkpoints"),
    ],
)
def test_what_the_command_cannot_do_costs_one_line(
    copies: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    line: str,
) -> None:
    assert matgen("card", *arguments, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == 1


def test_a_card_that_cannot_be_written_stays(copies: Path) -> None:
    without_hashes(copies / "phase_field_norm")
    file = copies / "phase_field_norm" / "metrics.json"
    before = (copies / "phase_field_norm" / "card.md").read_text()
    file.write_text(json.dumps(without(json.loads(file.read_text()), "reproduction")))
    with pytest.raises(ValueError, match="reproduction"):
        rewrite("phase_field_norm")
    assert (copies / "phase_field_norm" / "card.md").read_text() == before
    assert sorted(path.name for path in copies.iterdir()) == ["phase_field_norm", "two_d_screen"]
