"""Placing crystals: where they land, what is said of them, and the page that shows it."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint, data
from matgen_core.data import StructureFile, Upload, read_uploads
from matgen_core.data.structure_export import cif
from matgen_core.latent.index import known_materials
from matgen_core.latent.map import LatentMap
from matgen_core.tasks import placement, prediction
from tests.support.crystals import RUTILE, rock_salt
from tests.support.page_checks import said, seen, whole
from tests.support.serving import ROOT

pytestmark = pytest.mark.usefixtures("fresh_caches")

PAGE = str(ROOT / "pages" / "place.py")


@pytest.fixture
def salts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed data set "salts" with two structures of NaCl and one of KF."""
    other = Structure(Lattice.cubic(3.4), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])  # as CsCl
    crystals = {"s-1": other, "s-2": rock_salt().get_primitive_structure(), "s-3": rock_salt("K", "F", 5.3)}
    rows = [
        {
            "material_id": key,
            "lattice": each.lattice.matrix.ravel(),
            "numbers": np.array(each.atomic_numbers),
            "frac_coords": each.frac_coords.ravel(),
        }
        for key, each in crystals.items()
    ]
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "data" / "salts.parquet")


# Core


def test_crystals_of_a_formula_are_found_in_any_cell(salts: None) -> None:
    found = data.load_crystals_like("salts", [rock_salt()])
    assert sorted(found) == ["s-1", "s-2"]
    assert data.load_crystals_like("salts", [RUTILE]) == {}
    with pytest.raises(ValueError, match="unknown data set 'nothing'"):
        data.load_crystals_like("nothing", [RUTILE])


def test_crystals_that_are_numbered_are_read_by_their_number(salts: None) -> None:
    path = data.path_of("salts")
    pd.read_parquet(path).assign(material_id=[11, 12, 13]).to_parquet(path)
    assert data.load_crystal("salts", "13").composition.reduced_formula == "KF"
    assert sorted(data.load_crystals_like("salts", [rock_salt()])) == ["11", "12"]


def test_novelty_is_known_new_or_undecided(salts: None, crystal_map: checkpoint.Checkpoint) -> None:
    strange = Structure(Lattice.orthorhombic(3, 9, 6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.2, 0.5]])
    files = [StructureFile(str(i), str(i), each) for i, each in enumerate((rock_salt(edge=5.9), strange, RUTILE))]
    known = placement.known_crystals(crystal_map, files)
    verdicts = [placement.novelty(file.structure, known) for file in files]
    assert [verdict.passed for verdict in verdicts] == [False, True, True]
    assert verdicts[0].reason == "matches s-2 of salts"
    assert verdicts[1].reason == "matches none of the 2 structures of NaCl in salts"
    assert verdicts[2].reason == "no TiO2 in salts"


def test_what_is_broken_or_guessed_is_not_called_new_and_oxidation_states_change_nothing(
    salts: None, crystal_map: checkpoint.Checkpoint
) -> None:
    near = Structure(Lattice.cubic(4), ["Ti", "O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.55, 0.5, 0.5]])
    decorated = rock_salt(edge=5.9).add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    known = placement.known_crystals(crystal_map, [StructureFile("a", "a", each) for each in (near, decorated, RUTILE)])
    broken, guessed = placement.novelty(near, known), placement.novelty(RUTILE, known, ["H has no site"])
    assert (broken.passed, guessed.passed) == (None, None)
    assert broken.reason.startswith("no TiO2 in salts, but its sites are too near each other: ")
    assert guessed.reason == "no TiO2 in salts, but it had to be guessed at: H has no site"
    assert placement.novelty(decorated, known, ["H has no site"]).reason == "matches s-2 of salts"


def test_novelty_is_undecided_without_the_data(
    crystal_map: checkpoint.Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path))
    known = placement.known_crystals(crystal_map, [StructureFile("a", "a", rock_salt())])
    verdict = placement.novelty(rock_salt(), known)
    assert verdict.passed is None
    assert "salts" in verdict.reason


def test_every_file_keeps_its_row(salts: None, crystal_map: checkpoint.Checkpoint) -> None:
    space = LatentMap(crystal_map)
    files = [
        StructureFile("salt.cif", "salt", rock_salt()),
        StructureFile("rubbish.cif", "rubbish", problem="no readable CIF"),
        StructureFile("rutile.cif", "rutile", RUTILE),
    ]
    placed = placement.place(space, files, placement.known_crystals(crystal_map, files))
    z = space.encode([rock_salt()])[0].z
    distances, rows = space.neighbors(z[None], placement.N_NEIGHBORS)
    assert placed[0].rows == tuple(rows[0].tolist())
    assert placed[0].distances == pytest.approx(distances[0].tolist())
    assert placed[0].percentile == space.distance_percentile(z[None])[0]
    assert placed[1].problem == "no readable CIF"
    assert "Ti is not one of the 6 elements" in placed[2].problem or "O, Ti" in placed[2].problem
    table = placement.placement_table(placed, known_materials(crystal_map))
    assert list(table["file"]) == ["salt.cif", "rubbish.cif", "rutile.cif"]
    assert table["nearest_id"][0] == f"mp-{rows[0][0]}"
    assert table["novel"].tolist() == [False, pd.NA, True]
    assert table["comes_back"].tolist() == [False, pd.NA, pd.NA]  # the network is untrained
    assert table["problem"][0].startswith("not decoded")
    (x, y), *others = placement.positions(space, placed, "pca")
    assert others == []
    assert [x, y] == pytest.approx(space.place(z[None], "pca")[0].tolist())


def test_a_known_crystal_of_a_trained_model_lands_on_itself_and_comes_back() -> None:
    model = checkpoint.load("icsg3d")
    space = LatentMap(model)
    # A small cell; the decoded sites of a large one may stray far enough to cost its symmetry, and a place with it.
    row = int(model.index.loc[model.index["error"] == 0, "edge"].idxmin())
    crystal = space.reconstruct([row])[0].material
    (placed,) = placement.place(space, [StructureFile("a", "a", crystal)], placement.KnownCrystals("x", problem="no"))
    assert placed.rows[0] == row
    assert placed.comes_back
    assert placed.deviation < 0.1  # Å
    assert placed.percentile < 90


def test_properties_are_added_by_file() -> None:
    table = pd.DataFrame({"file": ["a", "b"]})
    networks = [checkpoint.load("cgcnn_energy")]
    properties = prediction.property_table(networks, {"b": rock_salt()})
    numbers = placement.with_properties(table, properties)
    assert numbers["Formation energy (eV/atom)"].isna().tolist() == [True, False]
    assert numbers["Formation energy (eV/atom) ±"][1] > 0
    texts = placement.with_properties(table, properties, as_text=True)
    assert "±" in texts["Formation energy (eV/atom)"][1]


# Page


def page(files: list[StructureFile] | None = None, **state: object) -> AppTest:
    test = AppTest.from_file(PAGE, default_timeout=120)
    if files is not None:
        test.session_state["place_files"] = files
    for key, value in state.items():
        test.session_state[key] = value
    return test


def test_the_empty_page_says_what_it_takes_and_shows_it(crystal_map: checkpoint.Checkpoint) -> None:
    test = page().run()
    whole(test)
    assert "Up to 200 crystals at a time; a file up to 10 MB" in said(test)
    assert "Drop in crystals of your own" in said(test)


def test_the_example_places_known_crystals() -> None:
    test = page().run()
    next(each for each in test.button if each.label.startswith("Try it")).click().run()
    whole(test)
    assert "Placed: 3 of 3" in said(test)
    shown = next(each.value for each in test.dataframe if "percentile" in each.value)
    assert (shown["deviation"] < 0.1).all()  # Å


def test_files_are_placed_and_what_is_skipped_says_why(salts: None, crystal_map: checkpoint.Checkpoint) -> None:
    made = io.BytesIO()
    evil = "**<b>NaF</b>**.cif"
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr("salt.cif", cif(rock_salt()))
        opened.writestr(evil.replace("/", ""), cif(rock_salt("Na", "F", 4.6)))
        opened.writestr("rutile.cif", cif(RUTILE))
        opened.writestr("photo.png", b"\x89PNG")
    files = read_uploads([Upload("mine.zip", made.getvalue())])
    test = page(files, place_at=files[1].name).run()
    whole(test)
    assert "Placed: 2 of 4" in said(test)
    assert "**<b>NaF<b>**.cif" in said(test)
    placed, left_out = (
        next(each.value for each in test.dataframe if column in each.value and "file" in each.value)
        for column in ("percentile", "problem")
    )
    assert list(placed["file"]) == [files[0].name, files[1].name]
    left_out = next(each.value for each in test.dataframe if list(each.value) == ["file", "formula", "problem"])
    assert list(left_out["file"]) == ["mine.zip/rutile.cif", "mine.zip/photo.png"]
    assert "not the name of a structure file" in left_out["problem"].iloc[1]


def test_nothing_placed_is_said(crystal_map: checkpoint.Checkpoint) -> None:
    test = page(read_uploads([Upload("mine.zip", b"rubbish")])).run()
    whole(test)
    assert "Nothing could be placed" in said(test)
    assert "Placed: 0 of 1" in said(test)


def test_stopping_keeps_what_is_done_and_goes_on(crystal_map: checkpoint.Checkpoint) -> None:
    files = [StructureFile(f"{i}.cif", str(i), rock_salt(edge=5 + i / 10)) for i in range(10)]
    test = page(files, place_stopped=True).run()
    whole(test)
    assert seen(test.warning[0].value) == "Stopped: 0 of 10 files are done."
    next(each for each in test.button if each.label == "Go on").click().run()
    whole(test)
    assert not test.warning
    assert "Placed: 10 of 10" in said(test)


def test_what_was_handed_over_can_be_taken_away(crystal_map: checkpoint.Checkpoint) -> None:
    test = page([StructureFile("salt.cif", "salt", rock_salt())]).run()
    next(each for each in test.button if each.label == "Forget them all").click().run()
    whole(test)
    assert test.session_state["place_files"] == []
    assert test.session_state["placed"] == {}
    assert "Drop in crystals of your own" in said(test)


def test_nothing_uploaded_is_cached_for_other_sessions() -> None:
    text = (ROOT / "pages" / "_parts" / "shared" / "bench_crystals.py").read_text()
    caches = [line for line in text.splitlines() if line.startswith("@st.cache")]
    assert caches
    assert all('scope="session"' in line for line in caches)


class Reads:
    """A representation that takes cells of some sizes alone."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes

    def standardize(self, structure: Structure) -> Structure:
        if len(structure) not in self.sizes:
            raise ValueError(f"{len(structure)} sites")
        return structure


@pytest.mark.parametrize(
    ("chosen", "sizes", "best", "line"),
    [
        ("small", (2,), "small", ""),
        ("small", (2, 2, 2), "small", ""),
        ("small", (8,), "large", "large was taken, which reads it. small reads none: 8 sites"),
        ("small", (2, 8, 8), "all", "all was taken, which reads 3 of 3. small reads 1: 8 sites"),
        ("all", (8,), "all", ""),
        ("large", (2, 8), "all", "all was taken, which reads 2 of 2. large reads 1: 2 sites"),
        ("large", (2, 2, 8, 6), "all", "all was taken, which reads 3 of 4. large reads 1: 2 sites"),
        ("small", (6, 6), "small", ""),  # nobody reads them
        ("large", (2, 8, 6, 6), "all", "all was taken, which reads 2 of 4. large reads 1: 2 sites"),
        ("small", (), "small", ""),
    ],
)
def test_the_model_that_reads_most_is_taken(chosen: str, sizes: tuple[int, ...], best: str, line: str) -> None:
    readers = {"small": Reads(2), "large": Reads(8), "all": Reads(2, 8)}
    asked: list[str] = []

    def representation(name: str) -> Reads:
        asked.append(name)
        return readers[name]

    cells = {2: rock_salt().get_primitive_structure(), 6: RUTILE, 8: rock_salt()}
    files = [StructureFile(f"{i}.cif", str(i), cells[size]) for i, size in enumerate(sizes)]
    files.append(StructureFile("broken.cif", "broken", None, "cannot be read"))
    assert placement.reader_for(files, chosen, list(readers), representation) == (best, line)
    if not line and best == chosen and 6 not in sizes:
        assert set(asked) <= {chosen}  # the others are not loaded


def test_the_page_takes_the_model_that_reads_an_upload_and_says_so() -> None:
    test = page(place_model="icsg3d_perov5").run()
    text = cif(rock_salt().get_primitive_structure()).encode()  # a cubic crystal in a cell that is none
    test.file_uploader(key="place_upload_0").set_value(("salt.cif", text, "text/plain")).run()
    assert not test.exception
    assert test.session_state["place_model"] == "icsg3d"
    line = next(each.value for each in test.main.markdown if "was taken" in each.value)
    assert line.replace("\\", "").startswith(
        "icsg3d was taken, which reads it. icsg3d_perov5 reads none: NaCl: Cl is not one of the"
    )
    assert not any("was taken" in each.value for each in test.expander[0].markdown)  # it is closed
    text = cif(RUTILE).encode()  # no cubic crystal
    test.file_uploader(key="place_upload_0").set_value(("rutile.cif", text, "text/plain")).run()
    assert not test.exception
    assert test.session_state["place_model"] == "voxel_vae"
    assert "Placed: 1 of 1" in said(test)
    test.session_state["place_model"] = "icsg3d_perov5"  # the visitor wants it all the same
    assert not any("was taken" in each.value for each in test.run().markdown)
