"""The page Validate alone: crystals come in, are judged beside it and shown with reasons; each visitor has her own."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from streamlit.testing.v1 import AppTest

from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.data import StructureFile
from matgen_core.data.rows import structure_row
from matgen_core.jobs.store import Store
from matgen_core.tasks import validation
from matgen_core.tasks.validation import columns, inputs, judging, runs, together
from matgen_core.views.crystals import uploaded
from pages._parts.components import crystal_viewer
from pages._parts.shared.bench_crystals import GIVEN, GIVEN_FROM
from pages._parts.validate import running
from tests.support.crystals import RUTILE, rock_salt
from tests.support.judged_here import Here, pairs_named
from tests.support.page_checks import handed_to, page, said, seen, whole
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("fresh_caches")

ANNA, BERT = "a" * 32, "b" * 32
EVIL = "![x](http://evil.example/x.png) :red[x] $x$.cif"


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs of atoms relax in this process; rock salt and rutile are known."""
    monkeypatch.setattr(judging, "potential_named", pairs_named)
    monkeypatch.setattr(runs, "workers_of", Here)
    monkeypatch.setattr(together, "table_apart", lambda *given: (validation.table_of(*given), ""))
    monkeypatch.setattr(uploaded, "apart", uploaded.here)
    monkeypatch.setattr(crystal_viewer, "viewer_problem", lambda: None)  # 3Dmol.js or not: what it is given counts
    monkeypatch.setenv("MATGEN_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    rows = [
        structure_row(f"mp-{n}", each)
        | {"energy_above_hull": 0.0, "nelements": 2, "nsites": len(each), "volume": each.volume}
        for n, each in enumerate((rock_salt().get_primitive_structure(), RUTILE))
    ]
    pd.DataFrame(rows).to_parquet(data.path_of("mp_structures"))


def triclinic(edge: float, *elements: str) -> Structure:
    places = [[0, 0, 0], [0.5, 0.52, 0.47], [0.3, 0.1, 0.6], [0.7, 0.8, 0.2]]
    return Structure(Lattice.from_parameters(edge, 4.1, 4.4, 80, 85, 95), elements, places[: len(elements)])


def salt(edge: float) -> Structure:
    return rock_salt("Na", "Cl", edge).get_primitive_structure()


FILES = [
    StructureFile("salt.cif", "salt", salt(5.4), notes=("one remark",)),
    StructureFile(EVIL, "evil", triclinic(5.2, "Sr", "Ti", "O")),
    StructureFile("four.cif", "four", triclinic(5.4, "Li", "Fe", "P", "O")),
    StructureFile("bad.cif", "bad", problem="no readable CIF"),
]


def opened(visitor: str = ANNA, **address: str) -> AppTest:
    test = page("validate", **address)
    test.session_state["visitor"] = visitor
    return test


def press(test: AppTest, label: str) -> AppTest:
    return whole(next(each for each in test.button if seen(each.label) == label).click().run())


def finished(test: AppTest) -> AppTest:
    """Run the page until the work that is open is done."""
    name = test.session_state["validation"]
    assert until(lambda: Store().work(name).progress == "done", 60)
    return whole(test.run())


def with_files(visitor: str = ANNA) -> AppTest:
    test = opened(visitor)
    test.session_state[GIVEN], test.session_state[GIVEN_FROM] = list(FILES), "Journeys"
    return whole(test.run())


def labels(test: AppTest) -> list[str]:
    return [seen(each.label) for each in test.button]


def test_what_another_page_hands_over_is_judged_and_every_crystal_is_there() -> None:
    test = with_files()
    shown = said(test)
    assert "3 crystals of Journeys are ready" in shown.replace("**", "")
    assert "bad.cif: no readable CIF" in shown
    test = finished(press(test, "Relax and judge 3 crystals"))
    [work] = Store().works()
    assert test.query_params["validation"] in (work.id, [work.id])
    shown = said(test)
    assert "no readable CIF" in shown
    for formula in ("NaCl", "SrTiO", "LiFePO"):
        assert any(formula in label for label in labels(test))
    assert len([each for each in test.button if str(each.key).startswith("closer_")]) == 4
    lines = [each.value for each in test.markdown if "badge[" in each.value]
    for check in columns.checks(judging.COLUMNS):
        assert any(columns.column(check).title in seen(line) for line in lines), check
    assert "New chemistry is harder" in shown
    assert all(mark in "".join(lines) for mark in ("✓", "✕"))
    [table] = [each.value for each in test.dataframe if "energy_above_hull" in each.value]
    assert table["name"].tolist() == [each.name for each in FILES]
    assert table["problem"].astype(bool).tolist() == [False, False, False, True]
    assert GIVEN not in test.session_state


def test_one_crystal_is_shown_before_and_after_with_its_film_and_its_hull() -> None:
    test = finished(press(with_files(), "Relax and judge 3 crystals"))

    def look_at(place: int) -> dict[str, Any]:
        key = f"closer_{place}"
        whole(next(each for each in test.button if each.key == key).click().run())
        assert test.query_params["crystal"] in (str(place + 1), [str(place + 1)])
        [viewer] = handed_to(test, "crystal_viewer")
        return viewer

    for place, n_elements in ((0, 2), (1, 3)):
        viewer = look_at(place)
        assert [each["caption"] for each in viewer["panels"]] == ["as it was given", "relaxed"]
        frames = viewer["film"]["frames"]
        assert len(frames) > 1
        assert frames[0]["told"].startswith("step 0,")
        assert frames[-1]["scene"] == viewer["panels"][1]["scene"]
        keys = {each.proto.id.rpartition("-")[2] for each in test.get("plotly_chart")}
        assert {"validate_energy", "validate_hull"} <= keys, n_elements
    look_at(2)
    assert "More than three elements: no diagram." in said(test)
    assert any("phase" in each.value for each in test.dataframe)
    whole(next(each for each in test.button if each.key == "closer_3").click().run())
    assert handed_to(test, "crystal_viewer") == []
    assert any("no readable CIF" in seen(each.value) for each in test.warning)


def test_filters_and_order_come_from_the_checks_of_the_table() -> None:
    test = finished(press(with_files(), "Relax and judge 3 crystals"))
    show = test.selectbox(key="validate_show")
    assert "Not judged" in show.options
    show.set_value("Not judged").run()
    assert [each.key for each in test.button if str(each.key).startswith("closer_")] == ["closer_3"]
    there = [each for each in columns.checks(judging.COLUMNS) if each != "stable"]
    table = next(each.value for each in test.dataframe if "energy_above_hull" in each.value)
    for check in there:
        for wanted, key in ((True, check), (False, f"not {check}")):
            test.selectbox(key="validate_show").set_value(key).run()
            expected = {
                f"closer_{place}"
                for place in table.index[table[check].map(lambda v, w=wanted: v is not None and v == w)]
            }
            found = {str(each.key) for each in test.button if str(each.key).startswith("closer_")}
            assert found == expected, key
    test.selectbox(key="validate_show").set_value("All").run()
    test.selectbox(key="validate_order").set_value("").run()
    assert [each.key for each in test.button if str(each.key).startswith("closer_")] == [
        f"closer_{n}" for n in range(4)
    ]
    test.text_input(key="validate_search").set_value("has:Fe").run()
    assert [each.key for each in test.button if str(each.key).startswith("closer_")] == ["closer_2"]


def test_a_visitor_sees_her_own_works_alone() -> None:
    test = finished(press(with_files(), "Relax and judge 3 crystals"))
    [work] = Store().works()
    stranger = whole(opened(BERT, validation=work.id).run())
    assert "somebody else's" in seen(stranger.warning[0].value)
    assert not [each for each in stranger.button if each.label in ("Open", "Go on", "Remove")]
    again = whole(opened(ANNA).run())
    assert [each.key for each in again.button if each.label == "Open"] == [f"open_{work.id}"]
    assert any("LiFePO" in label for label in labels(press(again, "Open")))
    press(press(again, "Other works"), "Remove")
    assert Store().works() == []
    assert "visitor" not in str(Store().works())
    assert test.session_state["visitor"] == ANNA


def test_work_that_a_server_left_is_interrupted_and_one_click_goes_on() -> None:
    test = whole(opened().run())  # this server's line is open before the other one is gone
    whose = "browser:" + running.hashed(ANNA)
    store = Store()
    given = inputs.of_structures(["one", "two", "three"], [salt(edge) for edge in (5.3, 5.4, 5.5)])
    begun = runs.begin(store, given, validation.Protocol(), "left behind", whose)
    with pytest.raises(KeyboardInterrupt):
        runs.work_through(store, begun.id, Here(most=2), judging.failed)
    test = whole(test.run())
    assert "left behind" in said(test)
    assert "2 of 3 judged with 7net-0" in said(test)
    test = press(test, "Open")
    assert "Interrupted: whoever worked on it is gone; 2 of 3 are done and kept." in said(test)
    assert "Judged so far: 2" in said(test).replace("*", "")
    test = finished(press(test, "Go on"))
    assert "Beside the generators here" in [each.value for each in test.subheader]
    assert [each.work.title for each in running.line().works(whose)] == ["left behind"]


def test_the_empty_page_offers_an_example_and_a_generator() -> None:
    test = whole(opened().run())
    assert "Try with 8 crystals" in labels(test)
    test = whole(opened(validate_source="A generator").run())
    generator = test.selectbox(key="validate_generator")
    assert generator.options[:3] == ["ion_exchange", "random_elements", "distorted"]
    generator.set_value("distorted")
    test.number_input(key="n").set_value(2)
    test = finished(press(test.run(), "Make and judge 2 crystals"))
    [work] = Store().works()
    assert work.title == "distorted, 2 samples, seed 0"
    assert Store().about(work.id)["source"] == {"generator": "distorted", "n": 2, "seed": 0}
    assert "of mp-" in said(test)


def test_without_the_data_a_network_makes_the_example(crystal_map: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "data" / "mp_structures.parquet").unlink()
    test = whole(opened(validate_source="A generator").run())
    assert test.selectbox(key="validate_generator").options == ["crystals"]
    assert any("matgen train formation_references" in each.value for each in test.info)
    next(each for each in test.button if each.label == "Try with 8 crystals").click().run()
    whole(test, "no crystal here can be relaxed")  # a network that has learned nothing makes none
    test = with_files()
    next(each for each in test.button if each.label.startswith("Relax and judge")).click().run()
    whole(test, "formation_references")
    assert Store().works() == []


def test_a_zip_of_files_is_read_within_limits() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.cif", triclinic(5.0, "Na", "Cl").to(fmt="cif"))
        archive.writestr("b.cif", "nonsense")
    test = whole(opened().run())
    test.file_uploader[0].set_value(("mine.zip", packed.getvalue(), "application/zip"))
    test = whole(test.run())
    assert "1 crystals of mine.zip are ready" in said(test).replace("*", "")
    assert "mine.zip/b.cif" in said(test)
    test = press(test, "Others instead")
    assert test.file_uploader[0].value == []


@pytest.mark.parametrize(("name", "address"), [("structure_bench", {"bench": "crystals:mp-0"})])
def test_pages_hand_their_crystals_over(name: str, address: dict[str, str], crystal_map: Checkpoint) -> None:
    test = page(name, **address).run()
    there = [each for each in test.button if seen(each.label).startswith("Validate")]
    assert len(there) == (0 if any("does not decode" in seen(each.value) for each in test.error) else 1)
