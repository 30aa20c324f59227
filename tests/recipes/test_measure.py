"""`matgen measure`: some figures of a shipped checkpoint anew from its weights and the data, nothing else touched."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from matgen_core import checkpoint, data
from matgen_core.data import DATASETS, Dataset
from matgen_core.recipes.cgcnn.figures import non_metals
from matgen_core.recipes.shared.phase_fields import by_time
from matgen_core.recipes.two_d_screen import data as two_d_data
from matgen_core.recipes.two_d_screen.data import learned_as_bulk
from tests.support.commands import matgen

CATIONS, ANIONS = ("Li", "Na", "K", "Mg", "Ca", "Zn", "Al", "Y"), ("O", "S", "F", "Cl")
FIELDS = [
    "-".join(sorted((*cations, *anions)))
    for cations in combinations(CATIONS, 2)
    for anions in combinations(ANIONS, 2)
    if (ord(cations[0][0]) + ord(anions[1][0])) % 2
]


@pytest.fixture
def fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made data sets: known fields of which older databases hold the first half, and two properties of the elements."""
    elements = [*CATIONS, *ANIONS]
    values = np.random.default_rng(0).standard_normal((len(elements), 2))
    half = [field.replace("-", "") for field in FIELDS[: len(FIELDS) // 2]]
    tables = {
        "icsd2017_quaternary_two_anion": pd.DataFrame({"phase_field": [*FIELDS, "As-As-Cd-Cl"]}),
        "magpie_37": pd.DataFrame(values, columns=["MendeleevNumber", "Row"]).assign(element=elements),
        "mp_hull_2018": pd.DataFrame({"formula": half[::2]}),
        "matbench_mp_e_form": pd.DataFrame({"formula": [f"{each}2" for each in half[1::2]]}),
        "oqmd_compositions": pd.DataFrame({"formula": ["NaCl", *half[:3]]}),
    }
    monkeypatch.setattr(data, "load", lambda name: Dataset(name, tables[name], DATASETS[name], "hash"))


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("phase_field_norm", "cgcnn_elastic"):
        shutil.copytree(checkpoint.root() / name, tmp_path / name)
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    return tmp_path


def test_fields_that_older_databases_hold_are_those_of_their_formulas(fields: None) -> None:
    older, later = by_time()
    assert [field.write() for field in older] == FIELDS[: len(FIELDS) // 2]
    assert [field.write() for field in later] == FIELDS[len(FIELDS) // 2 :]  # As-As-Cd-Cl is in neither


def test_a_figure_is_measured_stored_and_written_into_the_card(
    fields: None, copies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copies / "phase_field_norm"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    old = json.loads(before["metrics.json"])
    assert matgen("measure", "phase_field_norm", "pseudo_time", monkeypatch=monkeypatch) == 0
    printed = json.loads(capsys.readouterr().out)
    new = json.loads((folder / "metrics.json").read_text())
    assert new == old | printed
    assert new["pseudo_time"]["ranker"]["n_held_out"] == len(FIELDS) - len(FIELDS) // 2
    assert new["pseudo_time"] != old["pseudo_time"]
    card = (folder / "card.md").read_text()
    assert f"{new['pseudo_time']['ranker']['same_counts']['auc']:.3f} (" in card
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name for name in before | after if before.get(name) != after.get(name)} == {
        "config.json",
        "metrics.json",
        "card.md",
    }
    checkpoint.load("phase_field_norm")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("phase_field_norm", "nope"), "has no figure nope that is measured by itself, but pseudo_time"),
        (("cgcnn_elastic",), "cgcnn_elastic has no figure that is measured by itself; matgen evaluate cgcnn_elastic"),
        (("nothing",), "nothing: no such checkpoint in "),
    ],
)
def test_what_cannot_be_measured_costs_one_line(
    copies: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    line: str,
) -> None:
    before = {path: path.read_bytes() for path in copies.rglob("*") if path.is_file()}
    assert matgen("measure", *arguments, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert {path: path.read_bytes() for path in copies.rglob("*") if path.is_file()} == before


def test_labels_are_held_against_a_list_that_was_not_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monolayers = pd.DataFrame({"formula": ["MoS2", "Mo2S4", "WSe2", "NaCl", "GaSe"]})
    monkeypatch.setattr(two_d_data, "load", lambda name: Dataset(name, monolayers, DATASETS[name], "hash"))
    learned = pd.DataFrame({"formula": ["S2Mo", "NaCl", "KCl", "WSe2"], "two_dimensional": [True, False, False, True]})
    assert learned_as_bulk(learned) == {"n": 4, "two_dimensional": 2, "bulk": 1, "unknown": 1}


def test_gaps_of_non_metals_are_judged_by_themselves() -> None:
    gaps, mean = np.array([0, 0, 0, 1.0, 2.0]), np.array([0, 0, 0.1, 1.2, 1.0])
    found = non_metals(gaps, mean, std=np.full(5, 0.1), factor=0.25)
    assert (found["n"], found["n_non_metals"], found["share_of_metals"]) == (5, 2, pytest.approx(0.6))
    assert (found["mae"], found["mae_non_metals"]) == (pytest.approx(1.3 / 5), pytest.approx(0.6))
    # Off by 0.2 and 1.0 eV, 2 and 10 standard deviations; 0.5 and 2.5 of those before the factor.
    assert (found["inside_1_sigma"], found["inside_90_percent"]) == (0, 0)
    assert (found["inside_1_sigma_without_factor"], found["inside_90_percent_without_factor"]) == (0.5, 0.5)
