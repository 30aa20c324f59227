"""What a page shows of judged crystals: columns by their names, hull diagrams, the whole table, files, generators."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition

from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.data.rows import structure_row
from matgen_core.data.structure_files import read_content
from matgen_core.jobs.bounded import BoundedError
from matgen_core.tasks import validation
from matgen_core.tasks.origin import origin
from matgen_core.tasks.validation import columns, diagrams, inputs, judging, packing, scoreboards, sources, together
from tests.support.crystals import RUTILE, rock_salt
from tests.support.rows import each_row

SALT = rock_salt().get_primitive_structure()
BROMIDE = rock_salt("K", "Br", 6.6).get_primitive_structure()


def judged() -> tuple[list[inputs.Candidate], list[dict], list[dict]]:
    """Two crystals that relaxed, one of them known, and a sample that is none."""
    given = [
        *inputs.of_structures(["a/salt.cif", "=bromide"], [SALT, BROMIDE]),
        inputs.Candidate("s", None, "no peaks"),
    ]
    rows = [
        judging.unjudged_row(SALT, "") | {"energy_above_hull": 0.0, "stable": True, "near_stable": True},
        judging.unjudged_row(BROMIDE, "") | {"energy_above_hull": 0.05, "stable": False, "near_stable": True},
        judging.unjudged_row(None, "no peaks"),
    ]
    rests = [{"relaxed": json.loads(judging.content_of(each))} for each in (SALT, BROMIDE)]
    return given, rows, [*rests, {}]


def test_a_check_that_is_new_to_the_core_is_shown_without_a_change() -> None:
    there = ["name", "near_stable", "stable", "stability_reason", "novel", "volume_scan", "volume_scan_reason", "sun"]
    assert columns.checks(there) == ["stable", "near_stable", "novel", "sun", "volume_scan"]
    assert columns.lights(there) == ["near_stable", "novel", "volume_scan"]
    assert columns.column("volume_scan").title == "Volume scan"
    assert columns.reason_column("stable") == columns.reason_column("near_stable") == "stability_reason"
    assert columns.reason_column("volume_scan") == "volume_scan_reason"
    ordered = columns.in_reading_order(there)
    assert sorted(ordered) == sorted(there)
    assert ordered.index("volume_scan_reason") == ordered.index("volume_scan") + 1


def test_every_column_of_a_row_has_a_title_of_its_own() -> None:
    named = [columns.column(each).title for each in judging.COLUMNS if not each.endswith("_reason")]
    assert len(set(named)) == len(named)


SYSTEMS = [
    ("NaCl", ["NaCl"]),
    ("SrTiO3", ["SrO", "SrTiO3", "TiO2"]),
    ("Li2O", ["Li2O"]),
    ("MgAl2O4", ["MgO", "Al2O3", "MgAl2O4"]),
    ("GaAs", ["GaAs"]),
    ("Fe2O3", ["Fe2O3"]),
    ("KLi", []),
    ("KBr", ["KBr"]),
    ("CaF2", ["CaF2"]),
    ("CsPbI3", ["CsI"]),
]


@each_row(("formula", "stable"), SYSTEMS)
def test_a_hull_diagram_is_the_hull_that_crystals_are_held_against(formula: str, stable: list[str]) -> None:
    phases = diagrams.phases_of(formula)
    table = phases.table.set_index("formula")
    assert table.loc[stable, "is_stable"].all()
    assert table.loc[table.index.isin(phases.elements), "energy"].eq(0).all()
    assert np.allclose(table[list(phases.elements)].sum(axis=1), 1)
    hull = judging.references().hull
    for row in table.itertuples():
        fractions = np.zeros(len(hull.elements))
        for element, n in Composition(row.Index).get_el_amt_dict().items():
            fractions[hull.elements.index(element)] = n / Composition(row.Index).num_atoms
        above = row.energy - hull.at(fractions).energy
        assert above >= -1e-6
        assert (above < 1e-6) == row.is_stable, row.Index
    place = diagrams.place_of(formula, phases)
    assert sum(place.values()) == pytest.approx(1)


@each_row(("formula", "told"), [("Na", "1 elements"), ("LiFePO4", "4 elements; a diagram is drawn of two or three")])
def test_what_has_no_diagram_says_so(formula: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        diagrams.phases_of(formula)


def test_the_way_of_a_relaxation_is_read_back() -> None:
    last = json.loads(judging.content_of(SALT))
    cells = {step: (SALT.lattice.matrix * (1 + step / 100)).ravel().tolist() for step in (0, 4)}
    coords = SALT.frac_coords.ravel().tolist()
    frames = [
        {"step": step, "energy_per_atom": -3.0 - step, "cell": cell, "frac_coords": coords}
        for step, cell in cells.items()
    ]
    found = diagrams.film({"relaxed": last, "frames": frames})
    assert [(step, energy) for step, energy, _ in found] == [(0, -3.0), (4, -7.0)]
    assert found[1][2].volume == pytest.approx(SALT.volume * 1.04**3)
    assert found[0][2].species == SALT.species
    assert diagrams.film({}) == []


def test_the_table_is_made_apart_and_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path))
    pd.DataFrame([structure_row("mp-1", SALT)]).to_parquet(data.path_of("mp_structures"))
    given, rows, rests = judged()
    table, problem = together.table_apart(given, rows, rests)
    expected = validation.table_of(given, rows, rests)
    assert problem == ""
    assert list(table) == list(expected)
    assert table["novel"].tolist() == expected["novel"].tolist() == [False, True, False]
    assert validation.score(table, validation.Protocol()) == validation.score(expected, validation.Protocol())


def test_a_table_that_takes_too_long_is_shown_without_what_only_the_set_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*arguments: object) -> None:
        raise BoundedError("it takes more than 240 seconds, and was ended")

    monkeypatch.setattr(together.Bounded, "call", late)
    given, rows, rests = judged()
    table, problem = together.table_apart(given, rows, rests)
    assert problem.endswith("known crystals: it takes more than 240 seconds, and was ended")
    assert table["energy_above_hull"].tolist()[:2] == [0.0, 0.05]
    assert table[list(together.OF_THE_SET)].isna().all(axis=None)
    assert len(table) == 3


def test_all_crystals_go_into_one_file_with_what_made_them() -> None:
    given, rows, _ = judged()
    smaller = [each.copy().scale_lattice(0.9 * each.volume) for each in (SALT, BROMIDE)]
    rests = [*({"relaxed": json.loads(judging.content_of(each))} for each in smaller), {}]
    table = together.table_alone(given, rows)
    packed = packing.packed(given, table, rests, origin([], {"generator": "ion_exchange", "seed": 3}))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = sorted(archive.namelist())
        assert len(names) == 6
        listed = pd.read_csv(archive.open("table.csv"))
        assert len(listed) == 3
        for folder, crystals in (("before", (SALT, BROMIDE)), ("after", smaller)):
            assert listed[folder].notna().tolist() == [True, True, False]
            for file, structure in zip(listed[folder][:2], crystals, strict=True):
                [read] = read_content(file, Path(file).name, archive.read(file))
                assert read.structure is not None
                assert read.structure.composition.reduced_formula == structure.composition.reduced_formula
                assert read.structure.volume == pytest.approx(structure.volume, rel=1e-4)
        assert listed["made_with"].str.contains("ion_exchange").all()
        assert listed["problem"][2] == "no peaks"
        assert not listed["name"].str.startswith("=").any(), "no cell is a formula"


def test_a_generator_without_a_network_needs_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path))
    assert sources.without_network() == []
    rows = [
        structure_row(f"mp-{n}", each)
        | {"energy_above_hull": 0.0, "nelements": 2, "nsites": len(each), "volume": each.volume}
        for n, each in enumerate((SALT, BROMIDE, RUTILE))
    ]
    pd.DataFrame(rows).to_parquet(data.path_of("mp_structures"))
    assert "distorted" in sources.without_network()
    made = sources.of_generator("distorted", 3, 1)
    assert [each.name for each in made] == ["sample 1", "sample 2", "sample 3"]
    assert all(each.can_be_judged and each.note.startswith("of mp-") for each in made)
    again = sources.of_generator("distorted", 3, 1)
    assert [judging.content_of(each.structure) for each in made] == [
        judging.content_of(each.structure) for each in again
    ]  # type: ignore[arg-type]


def test_a_sample_that_is_no_crystal_counts(crystal_map: Checkpoint) -> None:
    made = sources.of_generator("crystals", 4, 0)
    assert len(made) == 4
    assert all(each.structure is not None or each.problem.startswith("not decoded: ") for each in made)


def test_a_score_stands_among_the_others() -> None:
    given, rows, _ = judged()
    score = validation.score(together.table_alone(given, rows), validation.Protocol())
    board = scoreboards.beside("mine", score).set_index("name")
    assert board.loc["mine", "kind"] == "this"
    assert board.loc["mine", "metastability"] == pytest.approx(200 / 3)
    assert board.loc["mine", "metastability_low"] < 200 / 3 < board.loc["mine", "metastability_high"]
    assert pd.isna(board.loc["mine", "sun"])
    assert set(scoreboards.shipped()) < set(board.index)
