"""A GAN of crystals on the pages: a fixed bank of its samples is its map, and walks keep the composition."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
import torch
from pymatgen.core import Composition

from matgen_core import checkpoint, data
from matgen_core.checkpoint import Checkpoint
from matgen_core.data.rows import structure_row
from matgen_core.latent.building import with_points
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.systems import chemical_system
from matgen_core.networks.models import MODELS
from matgen_core.networks.models.clouds.point_cloud_gan import PointCloudGAN, PointCloudGANConfig
from matgen_core.representations import PointCloud
from pages._parts.components import crystal_viewer
from tests.support.page_checks import all_steps, handed_to, page, said, seen, whole
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """The only checkpoint there is: an untrained network that writes crystals of an asked composition.

    The network is in the list of models, whether a checkpoint of it is shipped or not. 40 known crystals, whose
    features are drawn, beside 40 of its bank of 120.
    """
    torch.manual_seed(0)
    monkeypatch.setitem(MODELS.data, "point_cloud_gan", f"{PointCloudGAN.__module__}:PointCloudGAN")
    config = PointCloudGANConfig(
        slots=(2, 2, 4), n_compositions=3, noise_dim=5, width=16, heads=2, blocks=1, rounds=1, n_features=6
    )
    model = PointCloudGAN(config).eval()
    model.known.counts.copy_(torch.tensor([[1.0, 1.0, 2.0], [2.0, 1.0, 3.0], [2.0, 2.0, 4.0]]))
    made = Checkpoint(
        name="clouds",
        model_name="point_cloud_gan",
        model=model,
        representation=PointCloud(("Mg", "Mn", "O"), config.slots),
        metrics={"headline": {"figure": "", "ours": "", "paper": ""}, "bank": {"seed": 11, "n_samples": 120}},
        card="",
        provenance={"title": "", "system": "", "level": "structure", "datasets": {"mgmno/train": ""}},
    )
    space = LatentSpace.of(made)
    rows = np.random.default_rng(1).permutation(120)[:40]
    z = space.sample(120, 11)[rows]
    decoded = space.decode(z)
    with torch.inference_mode():
        features = model.features(model.decode(torch.from_numpy(z))).numpy()
    rng = np.random.default_rng(2)
    formulas = ["MgMnO2", "Mg2MnO3"] * 20 + [
        "" if each.material is None else each.material.composition.reduced_formula for each in decoded
    ]
    index = pd.DataFrame(
        {
            "id": [*(f"mp-{i}" for i in range(40)), *(f"made-{row}" for row in rows)],
            "formula": formulas,
            "chemical_system": [chemical_system(each) if each else "" for each in formulas],
            "split": ["train"] * 30 + ["test"] * 10 + ["generated"] * 40,
            "volume_per_atom": np.float32(rng.normal(11.8, 1, 80)),
            "seed_row": np.int32([-1] * 40 + rows.tolist()),
            **{f"{method}_{axis}": rng.normal(size=80) for method in ("umap", "pca") for axis in "xy"},
            "umap_faithfulness": 0.25,
            "pca_faithfulness": 0.75,
        }
    )
    known = features[rng.integers(40, size=40)] + rng.normal(0, 0.1, (40, 6)).astype(np.float32)
    made = replace(made, index=with_points(index, np.concatenate([known, features])))
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "made"))
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(crystal_viewer, "viewer_problem", lambda: None)
    (tmp_path / "data").mkdir()
    checkpoint.save(made, tmp_path / "made" / "clouds")
    return made


def of_one_composition(bank: Checkpoint) -> list[str]:
    """Two samples of the bank with one formula."""
    assert bank.index is not None
    generated = bank.index[bank.index["split"].eq("generated") & bank.index["formula"].astype(bool)]
    formula = generated["formula"].value_counts().index[0]
    return generated.loc[generated["formula"].eq(formula), "id"].head(2).tolist()


def test_its_map_says_what_it_shows(bank: Checkpoint) -> None:
    test = whole(page("latent_map", map="clouds").run())
    shown = said(test)
    lines = "\n".join(seen(each.value) for each in test.info) + shown
    assert "clouds has no encoder" in lines.replace("*", "")
    assert "fixed bank of 120 samples (seed 11)" in lines
    assert "formulas" not in lines.replace("of formulas", ""), "it writes crystals"
    [key] = of_one_composition(bank)[:1]
    whole(page("latent_map", map="clouds", at=key).run())
    alone = whole(page("latent_map", map="clouds", at="mp-0").run())
    assert "It has no latent point to decode" in said(alone)
    assert "The original is not shown" in said(alone)
    made = whole(page("latent_map", map="clouds", at=key).run())
    assert "The original is not shown" not in said(made), "a sample has no original"
    assert [each["caption"] for each in handed_to(made, "crystal_viewer")[0]["panels"]] == [
        "decoded from its latent point"
    ]
    crystal = LatentSpace.of(bank).decode(LatentSpace.of(bank).sample(1, 11))[0].material
    pd.DataFrame([structure_row("mp-0", crystal)]).to_parquet(data.path_of("mgmno"))
    st.cache_resource.clear()
    beside = whole(page("latent_map", map="clouds", at="mp-0").run())
    assert [each["caption"] for each in handed_to(beside, "crystal_viewer")[0]["panels"]] == ["original"]
    whole(page("latent_map", map="clouds", color="Cluster of features").run())


@pytest.mark.parametrize("mode", ["Path", "Arithmetic", "Axis", "Samples"])
def test_journeys_walk_its_noise(bank: Checkpoint, mode: str) -> None:
    first, second = of_one_composition(bank)
    test = page("journeys", journey="clouds", mode=mode, via=f"{first},{second}" + f",{first}" * (mode == "Arithmetic"))
    test = all_steps(test.run())
    whole(test)
    shown = said(test) + "\n".join(seen(each.value) for each in test.info)
    assert "formula" not in shown.lower().replace("formula, in any order", ""), "it writes crystals"


@pytest.mark.parametrize("name", ["home", "crystals", "structure_bench", "place", "validate", "trust", "compositions"])
def test_every_page_stands_with_it(bank: Checkpoint, name: str) -> None:
    whole(page(name).run())


def test_a_composition_is_asked_for_on_the_page_and_refused_with_the_reason(bank: Checkpoint) -> None:
    test = whole(page("crystals").run())
    assert test.selectbox(key="crystal_cell").options == ["any", "MgMnO2", "Mg2MnO3"]
    test.selectbox(key="crystal_cell").set_value("Mg2MnO3")
    test.number_input(key="crystal_samples").set_value(3).run()
    next(each for each in test.button if each.label == "Generate").click().run()
    assert until(lambda: not any(each.label == "Cancel" for each in test.run().button), 60)
    whole(test)
    link = "clouds,n=3,seed=0,composition=Mg2MnO3"
    assert test.query_params["crystals"] in (link, [link])
    [table] = [each.value for each in test.dataframe]
    assert {Composition(each).reduced_formula for each in table["formula"] if each} == {"Mg2MnO3"}
    assert table.loc[table["decoded"], "novel_reason"].str.contains("among the 2 formulas").all(), "its own count not"
    for typed, words in {"Mg3MnO": "3 Mg where there are 2 slots", "KMnO": "no slots for K", "Oops": "Oops"}.items():
        wrong = page("crystals")
        wrong.session_state["crystal_cell"] = typed  # as one types it
        whole(wrong.run(), words)
        assert next(each for each in wrong.button if each.label == "Generate").disabled
    refused = page("crystals", crystals="clouds,n=2,seed=0,composition=MgMnO5").run()
    whole(refused, "5 O where there are 4 slots")
