"""Samples of generators of crystals: what is asked for, what is said of each, what is kept of them in files."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Composition

from matgen_core import checkpoint, data
from matgen_core.data.rows import structure_row
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.notation import composition_of
from matgen_core.networks.models.clouds.point_cloud_gan import PointCloudGAN, PointCloudGANConfig
from matgen_core.representations import PointCloud
from matgen_core.tasks import journeys
from matgen_core.tasks.crystals import packing, sampling
from matgen_core.tasks.crystals.sampling import MOST, Asked, Class
from matgen_core.tasks.origin import origin
from matgen_core.tasks.validation import inputs

FAILS = Asked("icsg3d_paper", 6, 4)  # some of its samples are no crystals
ENERGY = "formation_energy_per_atom"


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data set is installed."""
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def made(asked: Asked) -> list[sampling.Sample]:
    return list(sampling.samples(checkpoint.load(asked.model), asked))


@pytest.mark.parametrize(
    "asked",
    [
        Asked("icsg3d"),
        Asked("voxel_vae", 1, 2**31 - 1),
        Asked("icsg3d", MOST, 7, ((ENERGY, -1.143),)),
        Asked("m", 3, 0, ((ENERGY, 1e-7), ("volume_per_atom", 12.5))),
    ],
)
def test_a_link_holds_what_was_asked_for(asked: Asked) -> None:
    assert Asked.read(str(asked)) == asked


def test_a_link_that_asks_for_nothing_that_can_be_is_refused_in_one_line() -> None:
    wrong = {
        "": "asks for no crystals",
        ",n=3": "asks for no crystals",
        "icsg3d,n=0": "asks for no crystals",
        "icsg3d,n=-1": "asks for no crystals",
        "icsg3d,n=2.5": "asks for no crystals",
        "icsg3d,n=": "asks for no crystals",
        "icsg3d,n=inf": "asks for no crystals",
        "icsg3d,seed=-1": "asks for no crystals",
        f"icsg3d,seed={2**31}": "asks for no crystals",
        f"icsg3d,{ENERGY}=nan": "asks for no crystals",
        f"icsg3d,{ENERGY}=inf": "asks for no crystals",
        f"icsg3d,{ENERGY}": "asks for no crystals",
        "icsg3d,n=" + "9" * 50: "a page makes 200 at a time",
        f"icsg3d,n={MOST + 1}": "a page makes 200 at a time",
        "x" * 9_000 + ",n=q": "asks for no crystals",
    }
    for text, words in wrong.items():
        with pytest.raises(ValueError, match=words) as caught:
            Asked.read(text)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


def test_every_sample_has_its_place_and_is_what_the_seed_draws(no_data: Path) -> None:
    found = made(FAILS)
    assert [each.number for each in found] == list(range(1, 7))
    space = LatentSpace.of(checkpoint.load(FAILS.model))
    again = space.decode(space.sample(6, 4))
    assert [each.problem for each in found] == [each.problem or "" for each in again]
    assert 0 < sum(each.structure is None for each in found) < 6
    table = sampling.table(found, FAILS)
    assert table["sample"].tolist() == list(range(1, 7))
    assert table["decoded"].tolist() == [each.structure is not None for each in found]
    assert table["file"].astype(bool).tolist() == table["decoded"].tolist()
    for each, row in zip(found, table.to_dict("records"), strict=True):
        if each.structure is None:
            assert row["problem"] == each.problem != ""
            assert all(row[light] is False for light in sampling.LIGHTS), "what is no crystal passes nothing"
            assert sampling.facts(each) == []
        else:
            assert Composition(row["formula"]).almost_equals(each.structure.composition.reduced_composition)
            assert row["volume_per_atom"] == pytest.approx(each.structure.volume / len(each.structure))
            titles = [title for title, _ in sampling.facts(each)]
            assert titles == ["Space group", "Cell", "Density", "Volume", "Nearest distance"]
    tally = sampling.tally(found)
    assert [name for name, _, _ in tally] == list(sampling.LIGHTS)
    assert all(
        passed == sum(each.row[name] is True for each in found) and passed + undecided <= 6
        for name, passed, undecided in tally
    )


def test_a_condition_goes_where_the_model_hears_it(no_data: Path) -> None:
    for name in ("icsg3d", "icsg3d_paper"):  # the learned prior hears it, and the decoder
        model = checkpoint.load(name)
        space = LatentSpace.of(model)
        low, high = sampling.classes(space, ENERGY)[::9]
        points = {}
        for value in (low.value, high.value):
            asked = Asked(name, 3, 1, ((ENERGY, value),))
            route = journeys.samples(space, None, 3, 1.0, 1, dict(asked.wanted))
            decoded = space.decode(route.z, route.condition)
            found = list(sampling.samples(model, asked))
            assert [each.problem for each in found] == [each.problem or "" for each in decoded]
            assert [each.structure for each in found] == [each.material for each in decoded]
            points[value] = [str(each.structure or each.problem) for each in found]
        assert points[low.value] != points[high.value], name
    with pytest.raises(ValueError, match="takes no formation energy"):
        made(Asked("voxel_vae", 2, 0, ((ENERGY, -1.0),)))


def test_classes_cover_every_value_once() -> None:
    space = LatentSpace.of(checkpoint.load("icsg3d"))
    found = sampling.classes(space, ENERGY)
    assert len(found) == 10
    assert (found[0].low, found[-1].high) == (None, None)
    assert [each.high for each in found[:-1]] == [each.low for each in found[1:]]
    conditions = space.condition_of({ENERGY: 0.0}, 1).shape[1]
    assert conditions == 10
    for place, each in enumerate(found):
        one_hot = space.condition_of({ENERGY: each.value}, 1)[0]
        assert one_hot.tolist() == np.eye(10)[place].tolist(), "its value asks for it and no other"
        assert sampling.class_of(found, each.value) == each
    for value, place in ((-9.0, 0), (9.0, 9), (found[3].high, 3)):
        assert value is not None
        assert sampling.class_of(found, value) == found[place]
        assert space.condition_of({ENERGY: value}, 1)[0].argmax() == place
    asked = sampling.settled(space, Asked("icsg3d", 2, 0, ((ENERGY, -9.0),)))
    assert asked.wanted == ((ENERGY, found[0].value),)
    assert sampling.classes(LatentSpace.of(checkpoint.load("voxel_vae")), ENERGY) == []
    assert isinstance(found[0], Class)


def test_known_crystals_are_known_and_what_cannot_be_told_is_open(no_data: Path) -> None:
    asked = Asked("icsg3d_perov5", 4, 0)
    unknown = made(asked)
    assert all(each.row["novel"] is None for each in unknown), "nothing is installed to compare with"
    assert all("formulas that the model's index names" in each.row["novel_reason"] for each in unknown)
    first = unknown[0].structure
    assert first is not None
    rows = [structure_row("mp-1", first)]
    extra = {"energy_above_hull": 0.0, "nelements": 2, "nsites": len(first), "volume": first.volume}
    pd.DataFrame([rows[0] | extra]).to_parquet(data.path_of("mp_structures"))
    found = made(asked)
    assert [each.row["novel"] for each in found] == [False, True, True, True]
    assert "matches mp-1 of mp_structures" in found[0].row["novel_reason"]


def test_the_archive_leaves_none_out_and_validates(no_data: Path, tmp_path: Path) -> None:
    found = made(FAILS)
    table = sampling.table(found, FAILS)
    packed = packing.packed(found, table, origin([FAILS.model], FAILS.settings), "made here")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path / "out")
    read = pd.read_csv(tmp_path / "out" / "table.csv")
    assert len(read) == 6
    assert read["made_with"].str.contains('"seed": 4').all()
    assert read["made_by"].eq(FAILS.model).all()
    files = sorted(path.name for path in (tmp_path / "out").glob("*.cif"))
    assert files == read["file"].dropna().tolist()
    assert "made here" in (tmp_path / "out" / files[0]).read_text()
    candidates = inputs.candidates_of([tmp_path / "out"])
    assert len(candidates) == 6, "matgen validate counts the failed ones, too"
    assert sum(each.structure is None for each in candidates) == int((~read["decoded"]).sum())


@pytest.fixture
def salts() -> checkpoint.Checkpoint:
    """An untrained network that writes crystals of an asked composition; it has learned three cells."""
    torch.manual_seed(0)
    config = PointCloudGANConfig(slots=(4, 2, 6), n_compositions=3, noise_dim=5, width=16, heads=2, blocks=1, rounds=1)
    model = PointCloudGAN(config).eval()
    model.known.counts.copy_(torch.tensor([[4.0, 2.0, 6.0], [2.0, 1.0, 3.0], [1.0, 1.0, 2.0]]))
    layout = PointCloud(("Mg", "Mn", "O"), config.slots)
    return checkpoint.Checkpoint("salts", "point_cloud_gan", model, layout, {}, "", {"datasets": {}})


def test_a_composition_is_asked_for_where_the_model_takes_one(salts: checkpoint.Checkpoint, no_data: Path) -> None:
    space = LatentSpace.of(salts)
    assert sampling.learned_compositions(space) == ["MgMnO2", "Mg2MnO3"]
    assert sampling.learned_compositions(LatentSpace.of(checkpoint.load("voxel_vae"))) == []
    for typed, cell in {"O2MgMn": "MgMnO2", "Mg4Mn2O6": "Mg4Mn2O6", "OMnMg": "MgMnO", "Mg2Mn(O2)2": "Mg2MnO4"}.items():
        asked = sampling.settled(space, Asked("salts", 4, 2, (), typed))
        assert asked.composition == cell
        assert Asked.read(str(asked)) == asked
        found = list(sampling.samples(salts, asked))
        wanted = Composition(cell).reduced_composition
        assert [Composition(each.row["formula"]).reduced_composition for each in found if each.structure] == [
            wanted for each in found if each.structure
        ]
        assert sampling.table(found, asked)["asked_composition"].eq(cell).all()
        cells = space.cells(composition_of(cell), 4, 2)
        drawn = space.decode(space.sample(4, 2), cells)
        assert [each.problem for each in found] == [each.problem or "" for each in drawn], "as on the command line"
    for typed, words in {
        "Mg5MnO": "5 Mg where there are 4 slots",
        "MgMnO9": "9 O where there are 6 slots",
        "KMgO": "no slots for K",
        "Xy2": "Xy",
        "Mg2(": "Mg2",
        "3": "3",
        "MgO": "has no Mn",
        "Mg0.5MnO": "whole",
        "http://evil.example": "http",
        "x" * 5_000: "x",
    }.items():
        with pytest.raises(ValueError, match=re.escape(words)) as caught:
            sampling.settled(space, Asked("salts", 1, 0, (), typed))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400
    with pytest.raises(ValueError, match="takes no composition"):
        sampling.settled(LatentSpace.of(checkpoint.load("voxel_vae")), Asked("voxel_vae", 1, 0, (), "NaCl"))
    with pytest.raises(ValueError, match="one of the two"):
        space.conditions({ENERGY: 1.0}, 2, "MgMnO2")
