"""A selection beside the rest, clusters, grades of maps: against second sources and where the answer is known."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from matgen_core import checkpoint, recipes
from matgen_core.latent import clusters, groups, projection
from matgen_core.latent.index import known_materials
from matgen_core.latent.map import LatentMap
from matgen_core.latent.projection import ProjectionSettings
from matgen_core.latent.space import Decoded
from matgen_core.materials.properties import Column
from matgen_core.tasks.crystals import export
from matgen_core.tasks.crystals.export import cif_zip
from matgen_core.views import charts

RNG = np.random.default_rng(0)
CLOUDS = np.concatenate(
    [RNG.normal(0, 0.2, (60, 5)), RNG.normal(4, 0.2, (90, 5)), RNG.uniform(-8, 12, (40, 5))]
).astype(np.float32)


def test_cliffs_delta_is_that_of_the_rank_test() -> None:
    first, second = RNG.integers(0, 6, 40).astype(float), RNG.integers(2, 9, 70).astype(float)  # with ties
    expected = 2 * mannwhitneyu(first, second).statistic / (40 * 70) - 1
    assert groups.cliffs_delta(first, second) == pytest.approx(expected)
    assert groups.cliffs_delta(np.array([5.0, 6]), np.array([1.0])) == 1


def test_the_column_that_differs_most_comes_first_and_missing_values_do_not_count() -> None:
    table = pd.DataFrame(
        {
            "name": ["Li2O", "Na2O", "LiF", "NaF", "KF"],
            "chemical_system": ["Li-O", "Na-O", "F-Li", "F-Na", "F-K"],
            "band_gap": [5.0, 3.0, np.nan, 1.0, 2.0],
            "edge": [4.0, 5.0, 4.0, 5.0, 4.0],
            "split": ["train", "train", "train", "val", "train"],
        }
    )
    columns = [Column("band_gap", "Band gap", "eV"), Column("edge", "Edge", "Å"), Column("split", "Split", "", True)]
    mask = np.array([True, True, False, False, False])
    found = groups.differences(table, columns, mask)
    assert [each.column.label for each in found] == ["Elements", "Band gap", "Split", "Edge"]
    by_label = {each.column.label: each for each in found}
    assert by_label["Elements"].sentence == "O: 100% of the selected, 0% of the rest"
    assert by_label["Elements"].effect == 1
    assert by_label["Band gap"].effect == 1
    assert by_label["Band gap"].sentence == "Cliff's δ +1.00; median 4 against 1.5 eV"
    assert len(by_label["Band gap"].rest) == 2
    assert by_label["Split"].effect == pytest.approx(1 / 3)
    assert by_label["Edge"].sentence.startswith("Cliff's δ +0.17")
    assert groups.differences(table, columns, np.ones(5, bool)) == []
    for each in found:
        drawn = charts.difference(each)
        shares = [trace for trace in drawn.data if trace.name == "selected"]
        assert len(shares[0].x) == len(each.selected)


def test_clusters_are_the_clouds_and_noise_is_named() -> None:
    labels = clusters.find(CLOUDS)
    assert set(labels[60:150].tolist()) == {0}  # the larger cloud is the first
    assert set(labels[:60].tolist()) == {1}
    assert (labels[150:] == clusters.NOISE).mean() > 0.8
    systems = pd.Series(["Li-O"] * 60 + ["Fe-O"] * 90 + ["F-K"] * 40, index=range(5, 195))
    names = clusters.names(labels, systems)
    assert names[0] == "2: Li, O"
    assert names[100] == "1: Fe, O"
    assert names[np.flatnonzero(labels == clusters.NOISE)[0]] == "in no cluster"


def test_a_true_map_has_full_grades_and_a_torn_or_folded_one_shows_which() -> None:
    line = np.sort(RNG.random(200)).astype(np.float32) * 10
    z = np.column_stack([line, np.zeros(200)]).astype(np.float32)
    assert projection.whole_map(z, 3 * z) == (1.0, 1.0)
    torn = z + np.where(np.arange(200)[:, None] % 2, 100, 0).astype(np.float32)  # neighbors far apart, none new
    folded = np.column_stack([np.abs(line - 5), np.zeros(200)]).astype(np.float32)  # strangers laid on each other
    trustworthy, continuous = projection.whole_map(z, torn)
    assert continuous < trustworthy
    trustworthy, continuous = projection.whole_map(z, folded)
    assert trustworthy < continuous


def test_a_lasso_tells_how_many_true_neighbors_it_leaves_out() -> None:
    neighbors = projection.nearest(CLOUDS[:150], 5)
    cloud = np.arange(150) < 60
    assert projection.share_outside(neighbors, cloud) == 0
    one = np.arange(150) == 7
    assert projection.share_outside(neighbors, one) == 1
    assert projection.share_outside(neighbors, ~cloud | one) == pytest.approx(5 / (5 * 91))
    assert projection.share_outside(neighbors, np.zeros(150, bool)) == 0


def test_regrading_moves_no_point_and_replaces_old_grades() -> None:
    made = projection.projections(CLOUDS, 0, methods=("pca",), n_seeds=1)
    old = made.assign(pca_faithfulness=np.float32(0.5)).drop(columns="pca_stability").assign(split="train")
    new = projection.regrade(old, CLOUDS, 0, n_seeds=1)
    assert list(new) == ["pca_x", "pca_y", "pca_faithfulness", "pca_stability", "split"]
    pd.testing.assert_frame_equal(new[list(made)], made)
    assert (new["pca_stability"] == 1).all()  # no chance in it
    moved = old.assign(pca_x=RNG.permutation(old["pca_x"]))
    assert (
        projection.stability(
            CLOUDS, moved[["pca_x", "pca_y"]].to_numpy(np.float32), ProjectionSettings("pca"), 1
        ).mean()
        < 0.5
    )
    grades = projection.map_grades(new.assign(z=list(CLOUDS)))
    assert grades["maps"]["pca"]["faithfulness"] == pytest.approx(new["pca_faithfulness"].mean(), abs=1e-4)
    assert grades["n_points"] == len(CLOUDS)


def test_a_map_of_some_is_spread_to_all() -> None:
    rows = np.arange(150)
    positions = CLOUDS[:150, :2]
    whole = projection.spread(CLOUDS, rows, positions)
    np.testing.assert_array_equal(whole[:150], positions)
    twin = np.concatenate([CLOUDS, CLOUDS[[3]]])
    np.testing.assert_allclose(projection.spread(twin, rows, positions)[-1], positions[3], atol=1e-5)


def test_a_checkpoint_is_graded_anew_without_touching_its_weights(crystal_map: checkpoint.Checkpoint) -> None:
    folder = checkpoint.root() / "crystals"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    model = checkpoint.load("crystals")
    assert model.index is not None
    checkpoint.amend("crystals", {"headline": {}, "maps": {}}, model.index.assign(umap_stability=np.float32(0.5)))
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(after) == set(before)
    assert {name for name in after if after[name] != before[name]} == {"metrics.json", "index.parquet", "config.json"}
    old, new = (json.loads(files["config.json"]) for files in (before, after))
    assert {key for key in new if new[key] != old[key]} == {"sha256"}
    assert (checkpoint.load("crystals").index["umap_stability"] == 0.5).all()  # type: ignore[index]


def test_regrading_a_checkpoint_writes_its_grades(crystal_map: checkpoint.Checkpoint) -> None:
    assert crystal_map.index is not None
    index = crystal_map.index[[name for name in crystal_map.index if not name.startswith("umap")]]
    only_pca = replace(crystal_map, index=index, provenance=crystal_map.provenance | {"seed": 0})
    checkpoint.save(only_pca, checkpoint.root() / "crystals")
    grades = recipes.regrade("crystals", n_seeds=1)
    again = checkpoint.load("crystals")
    assert again.index is not None
    assert again.metrics["maps"] == grades
    assert again.metrics["headline"] == crystal_map.metrics["headline"]
    assert grades["maps"]["pca"]["faithfulness"] < 0.75  # the fixture's places are random; it only said 0.75
    assert again.index["pca_stability"].between(0, 0.9).all()
    checkpoint.save(replace(only_pca, index=index.drop(columns="z")), checkpoint.root() / "crystals")
    with pytest.raises(ValueError, match="crystals has no latent points, so it has no map to grade"):
        recipes.regrade("crystals")


def test_a_zip_names_every_crystal_and_holds_those_that_decode(
    crystal_map: checkpoint.Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.crystals import NACL

    space, table = LatentMap(crystal_map), known_materials(crystal_map)
    table.loc[4, "name"] = "../../<b>NaCl"

    class HalfDecoding(LatentMap):
        """A space that decodes every second crystal; the tiny network decodes none."""

        def reconstruct(self, rows):
            return [Decoded(self.z[i], NACL) if i % 2 == 0 else Decoded(self.z[i], problem="no atom") for i in rows]

    done: list[int] = []
    packed = cif_zip(HalfDecoding(crystal_map), table, list(range(4, 24)), json.dumps({"search": "x"}), done.append)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = archive.namelist()
        assert len(names) == 10 + 3
        assert names[0] == "mp-4_.._..__b_NaCl.cif"
        assert "mp-6_KF.cif" in names
        listed = pd.read_csv(archive.open("table.csv"), keep_default_na=False)
        assert archive.read("mp-6_KF.cif").decode().count("Na") > 1
    assert list(listed["id"]) == [f"mp-{i}" for i in range(4, 24)]
    assert list(listed["problem"]) == ["", "no atom"] * 10  # in two batches, each in its order
    assert done == [16, 20]
    with pytest.raises(ValueError, match="501 crystals; from 1 to 500 are decoded at once"):
        cif_zip(space, table, list(range(501)))
    assert export.MOST_CRYSTALS == 500


def test_a_column_that_one_side_does_not_know_is_not_compared() -> None:
    table = pd.DataFrame(
        {"name": ["Li2O", "NaF"], "chemical_system": ["Li-O", "F-Na"], "here": [1.0, np.nan], "there": [np.nan, 2.0]}
    )
    columns = [Column("here", "Here", ""), Column("there", "There", "")]
    found = groups.differences(table, columns, np.array([True, False]))
    assert [each.column.label for each in found] == ["Elements"]
