"""The structure bench: what lies on it, where it comes from, and what bad input costs."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint
from matgen_core.data.structure_export import cif
from matgen_core.latent.index import known_materials
from matgen_core.materials import report
from matgen_core.tasks import prediction
from matgen_core.views.crystals import bench, uploaded
from matgen_core.views.crystals.bench import Entry
from tests.support.crystals import RUTILE, of_group
from tests.support.page_checks import said, seen, whole
from tests.support.serving import ROOT

pytestmark = pytest.mark.usefixtures("fresh_caches")

PAGE = str(ROOT / "pages" / "structure_bench.py")
ROCK_SALT = of_group("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
EVIL = "<script>alert(1)</script> :red[x] **b** $x$.cif"


# Core


def test_a_line_of_entries_comes_back_and_what_is_none_is_named() -> None:
    entries = [Entry("icsg3d", "mp-1"), Entry("icsg3d", "mp-1", True), Entry("upload", "0a1b")]
    assert bench.read_entries(bench.write_entries(entries)) == (entries, [])
    entries, problems = bench.read_entries("icsg3d:mp-1,rubbish,icsg3d:mp-1,a:b:c,<b>:x,")
    assert entries == [Entry("icsg3d", "mp-1")]
    assert [line.split(" names")[0] for line in problems] == ["'rubbish'", "'a:b:c'", "'<b>:x'"]


def test_a_line_of_too_many_keeps_the_first_four_and_says_so() -> None:
    entries, problems = bench.read_entries(",".join(f"m:{i}" for i in range(6)))
    assert [each.key for each in entries] == ["0", "1", "2", "3"]
    assert problems == ["6 crystals are asked for; the bench holds 4, the first are shown"]


def test_a_digest_tells_structures_and_names_apart() -> None:
    moved = RUTILE.copy()
    moved.translate_sites([0], [0.001, 0, 0])
    names = {bench.digest("a", RUTILE), bench.digest("b", RUTILE), bench.digest("a", moved)}
    assert len(names) == 3
    assert bench.digest("a", RUTILE.copy()) == bench.digest("a", RUTILE)


def test_examples_come_back_are_held_out_and_of_several_families() -> None:
    known = known_materials(checkpoint.load("icsg3d"))
    chosen = bench.examples(known)
    assert set(chosen["reconstruction"]) == {"comes back"}
    assert chosen["family"].is_unique
    assert len(chosen) == 3
    assert set(chosen["split"]) == {"test"}


def test_summary_and_comparison_lay_out_what_the_single_functions_say() -> None:
    swollen = RUTILE.copy()
    swollen.scale_lattice(RUTILE.volume * 1.02**3)
    table = report.summary_table({"rutile": RUTILE, "salt": ROCK_SALT})
    assert list(table["Space group"]) == ["P4_2/mnm (136), tetragonal", "Fm-3m (225), cubic"]
    assert table["c (Å)"].tolist() == pytest.approx([2.959, 5.64])
    assert table["Density (g/cm³)"].tolist() == pytest.approx([4.25, 2.165], abs=0.01)
    rows = report.comparison_table(RUTILE, {"swollen": swollen, "salt": ROCK_SALT}).set_index("Structure")
    assert rows["Match"].tolist() == [True, False]
    assert rows.loc["swollen", "Δa (%)"] == pytest.approx(2, abs=0.01)
    assert rows.loc["swollen", "RMSD (Å)"] == report.compare(RUTILE, swollen).rmsd_angstrom
    assert "another composition" in rows.loc["salt", "Remark"]


def test_a_value_is_written_as_precisely_as_it_is_known() -> None:
    assert prediction.with_deviation(-0.4792, 0.0314) == "-0.479 ± 0.031"
    assert prediction.with_deviation(45.889, 5.47) == "45.9 ± 5.5"
    assert prediction.with_deviation(431.2, 120.0) == "431 ± 120"
    assert prediction.with_deviation(-0.00001, 0.05) == "0.000 ± 0.050"
    assert prediction.with_deviation(float("nan"), 1.0) == "none"


def test_every_property_of_every_structure_has_its_row_and_its_measured_error() -> None:
    networks = [checkpoint.load(name) for name in ("cgcnn_elastic", "cgcnn_energy")]
    mixed = Structure(Lattice.cubic(4), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    table = prediction.property_table(networks, {"salt": ROCK_SALT, "mixed": mixed})
    assert len(table) == 2 * 6
    assert table["property"].iloc[0] == "Formation energy"
    energy = table[(table["property"] == "Formation energy") & (table["structure"] == "salt")].iloc[0]
    assert energy["value"] == pytest.approx(-2.1, abs=0.2)  # eV/atom; the Materials Project has -2.10
    assert energy["mae"] == networks[1].metrics["test"]["formation_energy_per_atom"]["mae"]
    assert table[table["structure"] == "mixed"]["problem"].str.contains("partly|partially").all()
    wide = prediction.side_by_side(table)
    assert list(wide.columns) == ["property", "unit", "mae", "salt", "mixed"]
    assert len(wide) == 6
    assert set(wide["mixed"]) == {"none"}


# Page


def page(**address: str) -> AppTest:
    test = AppTest.from_file(PAGE, default_timeout=120)
    for key, value in address.items():
        test.query_params[key] = value
    return test


def table_with(test: AppTest, column: str) -> Any:
    return next(each.value for each in test.dataframe if column in each.value)


@pytest.fixture
def salt_and_rutile() -> Callable[..., AppTest]:
    """The page with two files on it, as its uploader leaves them."""

    def make(view: str = "Sites", name: str = "salt.cif") -> AppTest:
        from matgen_core.data import StructureFile

        files = [StructureFile(name, "salt", ROCK_SALT), StructureFile("POSCAR", "POSCAR", RUTILE)]
        digests = [bench.digest(file.name, file.structure) for file in files]
        test = page()
        test.session_state["uploads"] = dict(zip(digests, files, strict=True))
        test.session_state["bench"] = ",".join(f"upload:{digest}" for digest in digests)
        test.session_state["bench_view"] = view
        return test

    return make


def test_the_empty_bench_teaches_and_opens_an_example() -> None:
    test = page().run()
    whole(test)
    assert "Lay up to four crystals side by side" in said(test)
    buttons = [each for each in test.button if each.key.startswith("example_")]
    assert len(buttons) == 3
    buttons[1].click().run()
    whole(test)
    key = buttons[1].key.removeprefix("example_")
    assert any("decoded" in label for label in table_with(test, "Space group")["Structure"])
    assert f"icsg3d:{key}" in test.query_params["bench"]


def test_the_examples_are_of_the_model_that_is_chosen() -> None:
    test = page(bench_model="icsg3d_perov5").run()
    whole(test)
    known = set(known_materials(checkpoint.load("icsg3d_perov5"))["key"])
    assert {each.key.removeprefix("example_") for each in test.button if each.key.startswith("example_")} <= known


def test_a_link_opens_the_bench_and_the_list_takes_from_it() -> None:
    keys = list(known_materials(checkpoint.load("icsg3d"))["key"][:2])
    test = page(bench=",".join(f"icsg3d:{key}" for key in keys)).run()
    whole(test)
    assert len(table_with(test, "Space group")) == 2
    test.multiselect(key="bench_chosen").set_value([f"icsg3d:{keys[1]}"]).run()
    whole(test)
    assert test.session_state["bench"] == f"icsg3d:{keys[1]}"


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("dingo:mp-1", "no model of crystals is called dingo"),
        ("icsg3d:mp-0", "mp-0 is not among the crystals of icsg3d"),
        ("upload:123456", "uploaded in another session"),
        ("nonsense", "names no crystal"),
        ("<script>alert(1)</script>", "<script>"),
    ],
)
def test_a_link_to_what_is_not_here_costs_one_line(link: str, said: str) -> None:
    test = page(bench=link).run()
    whole(test, "")
    assert said in seen(test.error[0].value)


@pytest.mark.parametrize("view", ["Sites", "Diffraction", "Properties", "Comparison", "Export"])
def test_every_view_shows_files(salt_and_rutile: Callable[..., AppTest], view: str) -> None:
    test = salt_and_rutile(view).run()
    whole(test)
    column = {"Sites": "Wyckoff", "Diffraction": "hkl", "Properties": "mae", "Comparison": "RMSD (Å)"}.get(view)
    if column:
        assert len(table_with(test, column))
    else:
        assert test.code[0].value == cif(ROCK_SALT, "salt.cif").strip()


def test_what_a_file_is_called_is_shown_and_not_obeyed(salt_and_rutile: Callable[..., AppTest]) -> None:
    test = salt_and_rutile("Sites", EVIL).run()
    whole(test)
    line = next(each.value for each in test.markdown if "point group" in each.value)
    assert seen(line).startswith(EVIL)
    assert "<script>" not in line
    assert "**b**" not in line


def test_symmetry_follows_the_tolerance(salt_and_rutile: Callable[..., AppTest]) -> None:
    test = salt_and_rutile()
    shaken = RUTILE.copy()
    shaken.perturb(0.05)
    (salt, rutile) = test.session_state["uploads"].items()
    test.session_state["uploads"] = {salt[0]: salt[1], rutile[0]: type(rutile[1])("POSCAR", "POSCAR", shaken)}
    test.session_state["symprec"] = 0.001
    test.run()
    fine = table_with(test, "Space group")["Space group"][1]
    test.select_slider(key="symprec").set_value(0.3).run()
    assert table_with(test, "Space group")["Space group"][1] == "P4_2/mnm (136), tetragonal" != fine


def test_a_measured_pattern_lies_over_the_structure_that_it_is_most_like(
    salt_and_rutile: Callable[..., AppTest],
) -> None:
    from matgen_core.materials import diffraction

    peaks = diffraction.reflections(ROCK_SALT, "CuKa", (10, 90))
    made = diffraction.profile(peaks, 0.15, (10, 90))
    measured = diffraction.Measured(made["2 theta (degrees)"].to_numpy(), 7 * made["Intensity"].to_numpy() + 40)
    test = salt_and_rutile("Diffraction")
    test.session_state["measured"] = ("run*1*.xy", measured)
    test.run()
    whole(test)
    assert "Correlation of run*1*.xy with salt.cif **1.000**, POSCAR **0." in said(test)
    test.session_state["measured"] = ("hot.xy", diffraction.Measured(np.linspace(1, 5, 20), np.arange(20.0)))
    test.run()
    whole(test, "")
    assert "choose a range that both have" in seen(test.error[0].value)


def test_files_can_be_taken_away(salt_and_rutile: Callable[..., AppTest]) -> None:
    test = salt_and_rutile().run()
    next(each for each in test.button if each.label == "Forget my 2 crystals").click().run()
    whole(test)
    assert test.session_state["uploads"] == {}
    assert "Lay up to four crystals" in said(test)


def test_a_card_of_the_latent_map_opens_on_the_bench(crystal_map: checkpoint.Checkpoint) -> None:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    test.switch_page("pages/latent_map.py")
    test.query_params["at"] = "mp-3"
    test.run()
    next(each for each in test.button if each.label == "Open on the bench").click().run()
    assert not test.exception
    assert test.title[0].value == "Structure bench"
    assert test.session_state["bench"] == "crystals:mp-3"
    assert "does not decode" in seen(test.error[0].value)  # the network is untrained


@pytest.mark.parametrize("view", ["Sites", "Properties"])
def test_what_was_guessed_and_what_cannot_be_is_said_beside_the_figures(
    salt_and_rutile: Callable[..., AppTest], view: str
) -> None:
    test = salt_and_rutile(view)
    near = RUTILE.copy()
    near.append("O", near[2].frac_coords + np.array([0, 0, 0.05]))
    (salt, rutile) = test.session_state["uploads"].items()
    read = type(salt[1])("salt.cif", "salt", ROCK_SALT, notes=("deuterium counts as *hydrogen*",))
    test.session_state["uploads"] = {salt[0]: read, rutile[0]: type(rutile[1])("POSCAR", "POSCAR", near)}
    test.run()
    whole(test, *([""] if view == "Properties" else []))
    captions = " ".join(seen(each.value) for each in test.caption)
    assert "salt.cif: deuterium counts as *hydrogen*" in captions
    assert "POSCAR: sites too near each other: shortest 0.15 Å" in captions


def test_a_pattern_in_decimal_commas_or_of_a_vendor_is_taken_up_and_a_bad_one_is_one_line(
    salt_and_rutile: Callable[..., AppTest],
) -> None:
    rows = [(20 + 0.05 * k, 40 + 900 * np.exp(-(((20 + 0.05 * k - 27.4) / 0.2) ** 2))) for k in range(600)]
    text = "\n".join(f"{a:.2f}\t{b:.1f}" for a, b in rows).replace(".", ",")
    test = salt_and_rutile("Diffraction").run()
    test.file_uploader(key="measured_file").set_value(("comma.xy", text.encode(), "text/plain")).run()
    whole(test)
    assert "Correlation of comma.xy with" in said(test)
    test.file_uploader(key="measured_file").set_value(("no.raw", b"\0\1" * 50, "application/octet-stream")).run()
    whole(test, "")
    assert "no.raw: no readable .raw pattern" in seen(test.error[0].value)


def test_cells_and_bonds_stand_in_the_link_and_can_be_reset(salt_and_rutile: Callable[..., AppTest]) -> None:
    drawn: list[tuple[Any, ...]] = []

    def watch(key: str, structure: Any, is_foreign: bool, cells: Any = (1, 1, 1), longest: Any = None) -> Any:
        drawn.append((cells, longest))
        return scene_of(key, structure, is_foreign, cells, longest)

    from pages._parts.shared import bench_crystals

    scene_of = bench_crystals.scene
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_crystals, "scene", watch)
        test = salt_and_rutile()
        for key, value in {"na": "2", "nc": "3", "longest": "2.9"}.items():
            test.query_params[key] = value
        whole(test.run())
        assert drawn[-1] == ((2, 1, 3), 2.9)
        assert "Bonds up to 2\\.9 Å\\." in [each.value for each in test.caption]
        next(each for each in test.button if each.label == "Reset").click()
        whole(test.run())
        assert drawn[-1] == ((1, 1, 1), None)
        for key, value in {"na": "9", "nb": "x", "longest": "99"}.items():  # what is none of them counts as not said
            test = salt_and_rutile()
            test.query_params[key] = value
            whole(test.run())
            assert drawn[-1] == ((1, 1, 1), None)


def test_a_supercell_is_reduced_when_the_visitor_says_so() -> None:
    from matgen_core.data import StructureFile

    file = StructureFile("big.cif", "big", ROCK_SALT * (3, 3, 3), notes=("read anyhow",))
    test = page()
    test.session_state["uploads"] = {"big": file}
    test.session_state["bench"] = "upload:big,icsg3d:mp-10036"
    assert "big.cif is a supercell of 216 sites; its primitive cell has 2." in said(whole(test.run()))
    next(each for each in test.button if each.label.startswith("Reduce")).click()
    whole(test.run())
    shown = table_with(test, "Space group").set_index("Structure")
    assert list(shown.index) == ["big.cif, primitive", "Ce3AlC decoded"]
    assert shown["Sites"].iloc[0] == 2
    assert "reduced from 216 sites to its primitive cell" in said(test)
    assert not any(each.label.startswith("Reduce") for each in test.button)


def test_what_is_saved_says_what_made_it() -> None:
    from pages._parts.shared import bench_crystals

    known = bench_crystals.find(Entry("icsg3d", "mp-10036"))
    source = bench_crystals.origin(known)
    assert re.fullmatch(r"mp-10036, decoded by icsg3d; icsg3d: .*weights [0-9a-f]{12}", source)
    for kind, ending in {"cif": "cif", "poscar": "vasp", "extended_xyz": "xyz"}.items():
        written = uploaded.here(kind, known.structure, source)
        assert sum(source in line and "MatGen Explorer" in line for line in written.splitlines()) == 1
        odd = uploaded.here(kind, known.structure, 'a "b" \\ c=1 \n\u2028 d # loop_')
        for text in (written, odd):  # and is read back all the same
            (file,) = uploaded.here("read", f"a.{ending}", f"a.{ending}", text.encode())
            assert file.structure is not None, file.problem
            assert file.structure.composition == known.structure.composition
    assert source in uploaded.here("chemiscope", {"a": known.structure}, source)
