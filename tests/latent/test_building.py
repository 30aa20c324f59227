"""The one way to make an index, and what its errors mean."""

import numpy as np
import pandas as pd
import pytest

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent import building
from matgen_core.latent.building import build_index
from matgen_core.latent.errors import NO_MATCH, RESTORATION, WRONG_COUNTS, error_kind, returned
from matgen_core.latent.index import known_materials
from matgen_core.latent.projection import ProjectionSettings, project
from matgen_core.latent.space import LatentSpace
from tests.support.broken import without_hashes

ROWS = pd.DataFrame({"id": ["a", "b", "c"], "formula": ["LiF", "LiCl", "NaF"]}, index=[7, 8, 9])


def test_errors_need_their_kind_and_say_who_comes_back() -> None:
    error = np.array([0.0, 2.0, 0.0])
    index = build_index(ROWS, error=error, kind=WRONG_COUNTS)
    assert list(index) == ["id", "formula", "error", "error_kind"]
    assert error_kind(index) is WRONG_COUNTS
    assert returned(index).tolist() == [True, False, True]
    assert returned(build_index(ROWS, error=error, kind=RESTORATION)).all()  # a score says nothing of it
    assert returned(build_index(ROWS)).all()
    for half in ({"error": error}, {"kind": WRONG_COUNTS}):
        with pytest.raises(ValueError, match="give both or neither"):
            build_index(ROWS, **half)
    with pytest.raises(ValueError, match="errors of the kind 'luck'; known: distance_from_average"):
        error_kind(index.assign(error_kind="luck"))


def test_maps_are_made_of_the_points_that_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """One flat map in place of all three: UMAP alone takes half a minute to start."""

    def flat(z: np.ndarray, seed: int) -> pd.DataFrame:
        return pd.DataFrame(project(z, ProjectionSettings("pca", seed)), columns=["pca_x", "pca_y"])

    monkeypatch.setattr(building, "projections", flat)
    points = np.random.default_rng(0).normal(1000, 0.3, (60, 4)).astype(np.float32)  # half precision has steps of 0.5
    rows = pd.DataFrame({"id": range(60), "formula": "LiF"})
    index = build_index(rows, points, seed=3)
    stored = np.stack(index["z"].to_numpy())
    assert stored.dtype == np.float16
    pd.testing.assert_frame_equal(index, build_index(rows, stored.astype(np.float32), seed=3))
    assert not np.allclose(index["pca_x"], flat(points, 3)["pca_x"])


def test_format_1_is_read_as_format_2(crystal_map: Checkpoint) -> None:
    """An older folder had one column of errors, and the model said what they were."""
    folder = checkpoint.root() / "crystals"
    before = checkpoint.load("crystals")
    old = before.index.drop(columns="error_kind").rename(columns={"error": "reconstruction_error"})
    old.to_parquet(folder / "index.parquet", index=False)
    without_hashes(folder, format=1)
    read = checkpoint.load("crystals")
    pd.testing.assert_frame_equal(read.index, before.index)
    assert error_kind(read.index) is NO_MATCH
    assert set(known_materials(read)["reconstruction"]) == {"comes back", "does not come back"}


def test_noise_in_parts_is_the_noise_at_once(crystal_map: Checkpoint) -> None:
    space = LatentSpace.of(crystal_map)
    (whole,) = space.noise([7], seed=4)
    parts = list(space.noise([3, 1, 3], seed=4))
    assert np.array_equal(np.concatenate([part.numpy() for part in parts]), whole.numpy())
    drawn = space.arrays_of(whole).numpy()
    assert np.array_equal(drawn, space.model.decode(space.model.draw_from_prior(whole)).detach().numpy())
    assert not np.array_equal(drawn, space.model.decode(whole).detach().numpy())
