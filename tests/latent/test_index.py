"""What a map says of any model's materials: labels, units, colors, hover texts, and the way back to the crystal."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from matgen_core import checkpoint, data
from matgen_core.checkpoint import Checkpoint
from matgen_core.data import store
from matgen_core.latent import selection
from matgen_core.latent.index import elements_of, known_columns, known_materials
from matgen_core.latent.map import LatentMap
from matgen_core.materials import query
from matgen_core.materials.properties import Column
from matgen_core.views.maps import columns as map_columns


def named(table: pd.DataFrame, model: Checkpoint) -> dict[str, Column]:
    return {column.name: column for column in known_columns(table, model)}


def test_crystals_have_values_with_units_and_classes(crystal_map: Checkpoint) -> None:
    table = known_materials(crystal_map)
    columns = named(table, crystal_map)
    assert list(table["key"][:2]) == ["mp-0", "mp-1"]
    assert list(table["name"][:2]) == ["LiF", "LiCl"]
    titles = {name: column.title for name, column in columns.items()}
    assert titles["formation_energy_per_atom"] == "Formation energy (eV/atom)"
    assert titles["band_gap"] == "Band gap (eV)"
    assert set(titles) == {"family", "formation_energy_per_atom", "split", "band_gap", "space_group", "reconstruction"}
    assert {name for name, column in columns.items() if column.is_category} == set(titles) - {
        "formation_energy_per_atom",
        "band_gap",
    }
    assert titles["family"] == "Family"
    in_systems = table.assign(family=["cubic", "triclinic"] * 30)
    assert named(in_systems, crystal_map)["family"].title == "Crystal system"
    assert list(table["space_group"][:3]) == ["Fm-3m (225)", "Pm-3m (221)", "F-43m (216)"]
    assert list(table["reconstruction"][:2]) == ["comes back", "does not come back"]


def test_errors_that_are_numbers_stay_numbers(crystal_map: Checkpoint) -> None:
    assert crystal_map.index is not None
    other = replace(crystal_map, index=crystal_map.index.assign(error=np.linspace(0, 1, 60), error_kind="wrong_counts"))
    column = named(known_materials(other), other)["reconstruction_error"]
    assert (column.label, column.is_category) == ("Reconstruction error", False)


def test_phase_fields_have_anions_and_a_score_in_its_unit() -> None:
    model = checkpoint.load("phase_field_vae")
    table = known_materials(model)
    columns = named(table, model)
    assert columns["reconstruction_error"].label == "Score"
    assert columns["reconstruction_error"].unit
    assert columns["anions"].is_category
    assert list(table["key"]) == list(table["phase_field"])


def test_colors_say_what_is_missing_and_keep_the_order_of_the_split(crystal_map: Checkpoint) -> None:
    table = known_materials(crystal_map)
    columns = named(table, crystal_map)
    gap = map_columns.coloring(table, columns["band_gap"])
    assert (gap.unit, gap.n_missing, gap.n_points) == ("eV", 30, 60)
    split = map_columns.coloring(table, columns["split"])
    assert [(entry.name, entry.count) for entry in split.entries] == [("train", 40), ("val", 20)]
    lithium = map_columns.color_by_element(table, "Li")
    n = sum(name.startswith("Li") for name in table["name"])
    assert [(entry.name, entry.count) for entry in lithium.entries] == [("with Li", n), ("without Li", 60 - n)]


def test_hover_names_the_material_first(crystal_map: Checkpoint) -> None:
    table = known_materials(crystal_map)
    text = map_columns.hover(table, known_columns(table, crystal_map))
    assert text.labels[:2] == ("Formula", "Material")
    assert dict(zip(text.labels, text.units, strict=True))["Formation energy"] == "eV/atom"
    first = text.buffer.data[4 * (text.n_blocks + 1) :].decode().splitlines()[0].split("\t")
    assert first[:2] == ["LiF", "mp-0"]


@pytest.mark.parametrize("dropped", [["formula"], ["umap_x", "umap_y", "pca_x", "pca_y"]])
def test_an_index_that_is_no_map_costs_one_line(crystal_map: Checkpoint, dropped: list[str]) -> None:
    assert crystal_map.index is not None
    with pytest.raises(ValueError, match=r"crystals holds no .*so there is no map of it"):
        known_materials(replace(crystal_map, index=crystal_map.index.drop(columns=dropped)))


def test_the_commonest_element_comes_first(crystal_map: Checkpoint) -> None:
    table = known_materials(crystal_map)
    elements = elements_of(table)
    assert set(elements) == {"Li", "Na", "K", "F", "Cl", "Br"}
    counts = [sum(element in system.split("-") for system in table["chemical_system"]) for element in elements]
    assert counts == sorted(counts, reverse=True)


def test_an_id_finds_itself_alone() -> None:
    formulas, ids = ["LiF", "LiCl", "NaCl"], ["mp-0", "mp-1", "mp-2"]
    assert query.find("mp-1", formulas, ids) == [False, True, False]
    assert query.find("has:Li", formulas, ids) == [True, True, False]
    with pytest.raises(ValueError, match="mp"):
        query.find("mp-7", formulas, ids)


def test_known_crystals_are_decoded_from_their_own_points(crystal_map: Checkpoint) -> None:
    space = LatentMap(crystal_map)
    assert [each.z.tolist() for each in space.reconstruct([59, 3])] == space.z[[59, 3]].tolist()


def outline(x0: float, x1: float, op: str) -> selection.Lasso:
    path = {"origin": [x0, -9], "step": 1, "path": [x1 - x0, 0, 0, 18, x0 - x1, 0]}
    return selection.Lasso.from_event({"op": op, "polygon": path})


def test_a_selection_remembers_the_outlines_that_made_it() -> None:
    xy = np.array([[0.5, 0.0], [1.5, 0.0], [2.5, 0.0]])
    first = selection.extend(None, xy, outline(0, 1, "new"), "umap")
    assert first is not None
    both = selection.extend(first, xy, outline(2, 3, "add"), "pca")
    assert both is not None
    assert both.mask.tolist() == [True, False, True]
    written = json.loads(both.as_json(checkpoint="crystals"))
    assert (written["checkpoint"], written["n_selected"]) == ("crystals", 2)
    assert [(step["projection"], step["op"]) for step in written["outlines"]] == [("umap", "new"), ("pca", "add")]
    assert written["outlines"][1]["polygon"] == [[2, -9], [3, -9], [3, 9], [2, 9]]
    again = selection.extend(both, xy, outline(1, 2, "new"), "umap")
    assert again is not None
    assert len(again.steps) == 1
    assert selection.extend(again, xy, outline(0, 1, "intersect"), "umap") is None


def test_what_is_shown_is_found_and_selected() -> None:
    chosen = selection.Selection(np.array([True, True, False]))
    assert selection.in_both([True, True, True], None) is None
    shown = selection.in_both([False, True, True], chosen)
    assert shown is not None
    assert shown.tolist() == [False, True, False]


def test_one_crystal_of_a_data_set(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="matgen data fetch mp_structures"):
        data.load_crystal("mp_structures", "mp-1")
    rows = [
        {"material_id": name, "a": edge, "b": edge, "c": edge, "alpha": 90.0, "beta": 90.0, "gamma": 90.0}
        | {"numbers": [11, 17], "frac_coords": [0.0, 0, 0, 0.5, 0.5, 0.5]}
        for name, edge in (("mp-1", 3.0), ("mp-2", 4.0))
    ]
    pd.DataFrame(rows).to_parquet(store.path_of("mp_structures"))
    crystal = data.load_crystal("mp_structures", "mp-2")
    assert (crystal.formula, crystal.lattice.a) == ("Na1 Cl1", 4.0)
    with pytest.raises(ValueError, match="holds no mp-3"):
        data.load_crystal("mp_structures", "mp-3")
