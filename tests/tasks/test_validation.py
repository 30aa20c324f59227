"""Any crystals judged by physics: a row for every one, nothing computed twice, shares of all that was asked for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core import data
from matgen_core.checks.physics import Energy
from matgen_core.data.rows import structure_row
from matgen_core.data.structure_export import cif
from matgen_core.jobs.store import Store
from matgen_core.networks.potentials import RelaxSettings, remote
from matgen_core.recipes.formation_references.scoreboard import GENERATORS, scoreboard
from matgen_core.tasks import validation
from matgen_core.tasks.validation import inputs, judging, runs, scoreboards, scores
from tests.support.crystals import RUTILE, rock_salt
from tests.support.judged_here import Here, pairs_named
from tests.support.rows import each_row

PROTOCOL = validation.Protocol(second="", max_steps=40, frames=3)


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs of atoms in place of the network, and rock salt as all that is known."""
    monkeypatch.setattr(judging, "potential_named", pairs_named)
    monkeypatch.setenv("MATGEN_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    known = pd.DataFrame([structure_row("mp-1", rock_salt().get_primitive_structure())])
    known.to_parquet(data.path_of("mp_structures"))


def candidates(*structures: Structure) -> list[inputs.Candidate]:
    return inputs.of_structures([f"c{n}" for n in range(len(structures))], structures)


def primitive(cation: str, anion: str, edge: float) -> Structure:
    return rock_salt(cation, anion, edge).get_primitive_structure()


def test_every_crystal_has_its_row_and_equal_ones_are_judged_once() -> None:
    partial = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3])
    strange = Structure(Lattice.cubic(4), ["X", "Cl"], [[0, 0, 0], [0.5] * 3])
    salt, charged = primitive("Na", "Cl", 5.64), primitive("Na", "Cl", 5.64)
    charged.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    given = candidates(salt, partial, primitive("K", "Br", 6.0), charged, strange)
    workers = Here()
    judged = runs.judged(given, PROTOCOL, workers, lambda done: None)
    rows = judged.rows
    assert len(workers.asked) == 2, "the salt with charges is the salt"
    table = validation.table_of(given, judged.rows, judged.rests)
    assert table["name"].tolist() == ["c0", "c1", "c2", "c3", "c4"]
    assert table["formula"].tolist() == ["NaCl", "K0.5Na0.5Cl1", "KBr", "NaCl", "XCl"]
    assert table["problem"][1] == "some sites are partially occupied; order the structure first"
    assert table["problem"][4] == "a site holds no element"
    assert table["made"].all()
    assert table["energy_above_hull"].notna().tolist() == [True, False, True, True, False]
    assert table["unique"].tolist()[:4] == [True, True, True, False]
    assert table["novel"].tolist()[:3] == [False, True, True], "rock salt is known, the others are not"
    assert not table["sun"][[1, 4]].any()
    assert rows[0] == rows[3]
    again = Here()
    runs.judged([*given, *candidates(salt)], PROTOCOL, again, lambda done: None)
    assert again.asked == [], "all of it was kept"
    runs.judged(given, validation.Protocol(second="", max_steps=41, frames=3), again, lambda done: None)
    assert len(again.asked) == 2, "other settings are another result"


def test_work_that_was_broken_off_goes_on_where_it_was() -> None:
    given = candidates(*(primitive("Na", "Cl", edge) for edge in (5.4, 5.5, 5.6, 5.7)))
    broken = Here(most=3)
    with pytest.raises(KeyboardInterrupt):
        runs.judged(given, PROTOCOL, broken, lambda done: None)
    kept = Store().works()
    assert [each.progress for each in kept] == ["interrupted"]
    told: list[int] = []
    workers = Here()
    rows = runs.judged(given, PROTOCOL, workers, told.append).rows
    assert len(workers.asked) == 4 - kept[0].n_done
    assert kept[0].n_done >= 1
    assert told[-1] == 4
    assert all(row["energy_per_atom"] is not None for row in rows)
    assert [each.progress for each in Store().works()] == ["done"], "the same work, not another one"


SALT = primitive("Na", "Cl", 5.64)
OVERLAPPING = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0, 0, 0]])
REFUSED = [
    (primitive("Na", "Cl", 1.9), "0.86 Å^3/atom; below 3 atoms overlap"),
    (Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.1, 0, 0]]), "two atoms are 0.40 Å apart"),
    (Structure(Lattice.cubic(4), ["Na", "Na"], [[0, 0, 0], [0.99, 0, 0]]), "two atoms are 0.04 Å apart"),
    (OVERLAPPING, "two atoms are 0.00 Å apart; at least 0.7 Å are needed"),
    (Structure(Lattice.cubic(20), ["Na"], [[0, 0, 0]]), "a cell that is nearly empty"),
    (Structure(Lattice.orthorhombic(4, 4, 90), ["Na", "Cl"], [[0, 0, 0], [0, 0, 0.02]]), "a cell that is nearly empty"),
    (Structure(Lattice.cubic(4.6), ["Na"], [[0, 0, 0]]), ""),
    (Structure(Lattice.orthorhombic(9, 9, 1), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]), "a flat cell"),
    (Structure(Lattice([[6, 0, 0], [0, 6, 0], [5, 0, 1.4]]), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0]]), "a flat cell"),
    (rock_salt("Po", "Cl"), "7net-0 does not know Po"),
    (primitive("Fm", "Cl", 5.5), "7net-0 does not know Fm"),
    (primitive("Es", "Po", 6.5), "7net-0 does not know Po, Es"),
    (primitive("K", "I", 7.0) * (5, 5, 10), "500 atoms in the cell; at most 200 are relaxed"),
    (rock_salt("K", "Cl", 6.3) * (3, 3, 3), "216 atoms in the cell; at most 200 are relaxed"),
    (primitive("Na", "Br", 5.9), "given up at step 0: the potential gave no finite number"),
    (SALT, ""),
]


def test_what_cannot_be_relaxed_says_why_and_harms_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "potential_named", lambda name: pairs_named(name, broken=35))
    given = candidates(*(structure for structure, _ in REFUSED))
    judged = runs.judged(given, PROTOCOL, Here(), lambda done: None)
    table = validation.table_of(given, judged.rows, judged.rests)
    assert table["made"].all()
    for (structure, problem), (_, row) in zip(REFUSED, table.iterrows(), strict=True):
        assert problem in row["problem"], structure.formula
        assert bool(row["problem"]) is bool(problem), structure.formula
        if problem:
            assert row[["energy_above_hull", "stable", "volume_scan"]].isna().all(), structure.formula
            assert not row[["sun", "msun"]].any()
    assert table["energy_above_hull"].iloc[-1] is not None
    assert table["volume_scan"].iloc[-1] in (True, False)


def test_a_row_says_what_is_sound_and_why() -> None:
    [done] = runs.judged(candidates(SALT), PROTOCOL, Here(), lambda n: None).rows
    rest = judging.structure_of(runs.judged(candidates(SALT), PROTOCOL, Here(), lambda n: None).rests[0]["relaxed"])
    assert (done["charge_neutral"], done["charge_neutral_reason"]) == (True, "neutral: Na+1 Cl-1")
    assert (done["space_group_number"], done["relaxed_space_group_number"]) == (225, 225)
    expected = SALT.volume / rest.volume - 1
    assert done["volume_offset"] is None or done["volume_offset"] == pytest.approx(expected, abs=0.01)
    assert done["volume_scan"] is (abs(expected) < 0.1)
    for check in ("strict_distances", "volume_kept", "symmetry_kept", "volume_scan", "charge_neutral"):
        assert done[check] in (True, False), check
        assert done[f"{check}_reason"], check
    assert set(done) == set(judging.COLUMNS)


def test_an_impossible_energy_is_refused_until_the_second_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    each_atom = {"7net-0": -10.0}

    def named(name: str) -> Any:
        asked.append(name)
        return pairs_named(name, each_atom=each_atom[name])

    monkeypatch.setattr(judging, "potential_named", named)
    protocol = judging.protocol_with("7net-0", 5, "7net-l3i5")
    settings = judging.settings_of(protocol)
    content = judging.content_of(SALT)
    first, second = (
        judging.references().formation_energy(SALT, Energy(name, -10.0)) for name in ("7net-0", "7net-l3i5")
    )
    agreeing = -10.0 + first - second  # each has its own references
    for of_second, is_believed in ((agreeing, True), (agreeing + 0.05, True), (0.0, False), (agreeing - 0.2, False)):
        asked.clear()
        each_atom["7net-l3i5"] = of_second
        row, _ = judging.piece(content, settings)
        assert asked.count("7net-l3i5") == 1
        assert (row["energy_above_hull"] is not None) is is_believed, row["stability_reason"]
        assert is_believed or (
            "impossibly low" in row["stability_reason"] and "7net-l3i5 says" in row["stability_reason"]
        )
    monkeypatch.setattr(judging, "potential_named", pairs_named)
    row, _ = judging.piece(content, settings)
    assert row["energy_above_hull"] > 0, "what is possible needs no second"


def test_nothing_that_can_be_relaxed_is_a_table_too() -> None:
    given = [inputs.Candidate("a", None, "no readable CIF")]
    workers = Here()
    judged = runs.judged(given, PROTOCOL, workers, lambda done: None)
    table = validation.table_of(given, judged.rows, judged.rests)
    assert table["problem"].tolist() == ["no readable CIF"]
    assert set(judging.COLUMNS) <= set(table)
    assert validation.score(table, PROTOCOL)["made"] == 0
    assert not Store().works()


def test_another_machine_relaxes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "load_potential", lambda name, device: pairs_named(name))
    given = candidates(primitive("Na", "Cl", 5.4), primitive("Na", "Cl", 1.9), primitive("K", "Br", 6.2))
    given.insert(1, inputs.Candidate("failed", None, "not decoded"))
    assert inputs.save_cells(given, tmp_path / "cells.safetensors") == 3
    settings = RelaxSettings(PROTOCOL.max_force, PROTOCOL.max_steps)
    cells = inputs.cells_of([each.structure for each in given if each.structure is not None])
    done = remote.relaxed(cells, "7net-0", "7net-l3i5", "cpu", 10, settings)
    done.save(tmp_path / "relaxed.safetensors")
    there = runs.judged_from(given, tmp_path / "relaxed.safetensors")
    here = runs.judged(given, PROTOCOL, Here(), lambda n: None)
    assert there.protocol == validation.Protocol("7net-0", "7net-l3i5", max_steps=40)
    for one, other in zip(there.rows, here.rows, strict=True):
        assert one["problem"] == other["problem"]
        assert one["energy_above_hull"] == pytest.approx(other["energy_above_hull"], abs=1e-5)
        assert one["stability_reason"] == other["stability_reason"]
    assert sum(row["energy_above_hull"] is None for row in there.rows) == 2
    with pytest.raises(ValueError, match=r"holds 3 relaxed crystals, and not of the 2 that are given here"):
        runs.judged_from(given[:3], tmp_path / "relaxed.safetensors")
    moved = candidates(primitive("Na", "Cl", 5.41), primitive("Na", "Cl", 1.9), primitive("K", "Br", 6.2))
    with pytest.raises(ValueError, match=r"not of the 3 that are given here; give the files that --prepare was given"):
        runs.judged_from(moved, tmp_path / "relaxed.safetensors")
    with pytest.raises(ValueError, match=r"holds Cells, expected RelaxedCells"):
        runs.judged_from(given, tmp_path / "cells.safetensors")
    late = remote.relaxed(cells, "7net-0", "", "cpu", -1, settings)
    assert (late.outcome == remote.NOT_REACHED).sum() == 2, "the refused one is told at once"
    assert "its turn did not come" in late.reasons


@each_row(("count", "n"), [(0, 1), (1, 1), (0, 1_000), (7, 1_000), (388, 1_000), (999, 1_000), (1_000, 1_000), (3, 8)])
def test_the_interval_is_wilsons(count: int, n: int) -> None:
    """At its ends the share that was seen lies 1.96 standard errors away, by the error of the end itself."""
    for end, limit in zip(scores.wilson(count, n), (0.0, 1.0), strict=True):
        distance = abs(count / n - end)
        assert distance == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / n), rel=1e-5, abs=1e-9) or end == limit


def test_a_share_is_one_of_all_that_was_asked_for() -> None:
    rows = [
        judging.unjudged_row(primitive("K", "Br", 6.6), "") | {"stable": True, "near_stable": True},
        judging.unjudged_row(primitive("K", "I", 7.0), "")
        | {"stable": False, "near_stable": True, "volume_kept": True},
        judging.unjudged_row(primitive("Na", "Cl", 5.64), "") | {"stable": True, "near_stable": True},
        judging.unjudged_row(primitive("K", "Br", 6.5), "")
        | {"stable": True, "near_stable": True, "displacement": 0.2},
        judging.unjudged_row(None, "not decoded"),
    ]
    of = (("K", "Br", 6.6), ("K", "I", 7.0), ("Na", "Cl", 5.64), ("K", "Br", 6.5))
    given = candidates(*(primitive(*each) for each in of))
    table = validation.table_of([*given, inputs.Candidate("e", None, "not decoded")], rows, [{}] * 5)
    score = validation.score(table, PROTOCOL)
    shares = {each.key: score[each.key] for each in validation.MEASURES}
    expected = {
        "made": 0.8, "valid": 0.8, "unique": 0.6, "novel": 0.6, "stability": 0.6, "metastability": 0.8, "sun": 0.2,
        "msun": 0.4, "msun_common": 0.4, "volume_kept": 0.2, "smact_valid": 0.8, "displacement": 0.2,
        "hull_median": None,
    }  # fmt: skip
    assert shares == pytest.approx(expected)
    assert score["sun_low"] < 0.2 < score["sun_high"]


def test_what_relaxes_to_a_known_crystal_is_not_new() -> None:
    known = primitive("Na", "Cl", 5.64)
    strange = Structure(Lattice.orthorhombic(3, 9, 6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.2, 0.5]])
    row = judging.unjudged_row(strange, "")
    rests = [{"relaxed": json.loads(judging.content_of(each))} for each in (known, strange)]
    table = validation.table_of(candidates(strange, strange, strange, known), [row] * 4, [*rests, {}, rests[1]])
    assert table["novel"].tolist() == [False, True, True, False], "nor is a known crystal that relaxes to another"
    assert table["unique"].tolist() == [True, True, False, False]


def test_without_known_crystals_novelty_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "nothing"))
    row = judging.unjudged_row(RUTILE, "") | {"stable": True}
    score = validation.score(validation.table_of(candidates(RUTILE), [row], [{}]), PROTOCOL)
    assert (score["novel"], score["sun"], score["msun"]) == (None, None, None)
    assert score["stability"] == 1
    assert "not told  novel: " in scoreboards.lines(score)


def test_crystals_are_text_and_back() -> None:
    for structure in (RUTILE, rock_salt(), primitive("K", "Br", 6.6)):
        back = judging.structure_of(judging.content_of(structure))
        assert back.species == structure.species
        assert np.allclose(back.lattice.matrix, structure.lattice.matrix, atol=1e-6)
        assert back == judging.structure_of(judging.content_of(back))
    shifted = RUTILE.copy().translate_sites(range(6), [1, 0, 0], to_unit_cell=False)
    assert judging.content_of(shifted) == judging.content_of(RUTILE)


def test_moving_all_sites_together_is_no_displacement() -> None:
    moved = RUTILE.copy().translate_sites(range(6), [0.1, 0.2, 0.3])
    assert judging.displacement(RUTILE, moved) == pytest.approx(0, abs=1e-9)
    apart = RUTILE.copy().translate_sites([0], [0.1, 0, 0])
    assert judging.displacement(RUTILE, apart) == pytest.approx(0.4594 * np.sqrt(5) / 6, rel=1e-6)


def test_a_folder_of_samples_brings_those_that_failed(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    (folder / "sample-00002.cif").write_text(cif(rock_salt()))
    (folder / "table.csv").write_text(
        "sample,decoded,formula,file,problem\n1,False,,,no peaks\n2,True,NaCl,sample-00002.cif,\n"
    )
    found = inputs.candidates_of([folder])
    assert [(each.name, each.problem) for each in found] == [
        ("sample-00002.cif", ""),
        ("sample 1", "not decoded: no peaks"),
    ]
    (folder / "table.csv").write_text("formula,x\nNaCl,1\n")
    assert len(inputs.candidates_of([folder])) == 1, "a table of another kind says nothing of samples"


def test_scores_are_kept_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scoreboards.own() == {}
    scoreboards.keep("my model", {"n": 3})
    scoreboards.keep("other", {"n": 4, "msun": 0.25})
    scoreboards.keep("my model", {"n": 5, "msun": 0.1, "novel": None})
    assert scoreboards.own() == {
        "my model": {"n": 5, "msun": 0.1, "novel": None}, "other": {"n": 4, "msun": 0.25}
    }  # fmt: skip
    table = scoreboards.table().query("kind == 'yours'").set_index("name")
    assert table["msun"].to_dict() == {"other": 25.0, "my model": 10.0}
    with pytest.raises(ValueError, match="take at most 60 letters"):
        scoreboards.keep("a" * 61, {})
    monkeypatch.setattr(scoreboards, "MAX_OWN", 2)
    with pytest.raises(ValueError, match="has 2 names already"):
        scoreboards.keep("third", {"n": 1})
    for broken in ("[1", "[1]", '{"a": 1}', '{"a": {"n": "many"}}', '{"a": {"n": 3, "msun": "all"}}', '{"a": {}}'):
        (Store().folder / "scoreboard.json").write_text(broken)
        with pytest.raises(ValueError, match=r"scoreboard\.json cannot be used .*; move it away to begin anew"):
            scoreboards.table()


def test_the_scoreboard_of_the_generators_here_holds_together() -> None:
    shipped = scoreboards.shipped()
    assert set(scoreboards.NETWORK_FREE) < set(shipped)
    for name, score in shipped.items():
        assert score["n"] == 1_000
        assert score["msun_common"] <= score["msun"] <= min(score["metastability"], score["novel"], score["unique"]), (
            name
        )
        assert score["sun"] <= min(score["stability"], score["msun"]), name
        for each in validation.MEASURES:
            if each.is_share:
                interval = scores.wilson(round(1_000 * score[each.key]), 1_000)
                assert (score[f"{each.key}_low"], score[f"{each.key}_high"]) == pytest.approx(interval)
    assert shipped["distorted"]["novel"] < 0.02, "known crystals are none of them new"
    table = scoreboards.table().set_index("name")
    assert table["msun"].is_monotonic_decreasing
    assert table.loc["ion_exchange", "kind"] == "no network"
    said = scoreboards.verdict()
    assert f"without any network: {shipped['ion_exchange']['msun']:.1%}" in said
    assert "1,000 samples of each (seed 0), relaxed with 7net-l3i5" in scoreboards.protocol()
    assert scoreboards.chance(1_000) == pytest.approx(4.4, abs=0.05)


def test_a_scoreboard_takes_scores_of_one_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    how = {"potential": "7net-0"}
    with pytest.raises(
        ValueError, match=r"no score of voxel_vae, icsg3d, icsg3d_perov5, .* is kept; matgen validate FOLDER"
    ):
        scoreboard(2, 0)
    for name in GENERATORS:
        scoreboards.keep(name, {"n": 2, "msun": 0.5, "protocol": how})
    found = scoreboard(2, 7)
    assert (found["n"], found["seed"], found["protocol"]) == (2, 7, how)
    assert found["scores"]["distorted"] == {"n": 2, "msun": 0.5}
    scoreboards.keep("distorted", {"n": 2, "protocol": {"potential": "other"}})
    scoreboards.keep("icsg3d", {"n": 3, "protocol": how})
    with pytest.raises(ValueError, match="distorted, icsg3d: another protocol than voxel_vae, or not 2 samples"):
        scoreboard(2, 0)
