"""Formulas on the command line, with a small DING of first weights: a row for every input, whatever it is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Composition

from matgen_core import checkpoint as checkpoints
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.building import with_points
from matgen_core.latent.map import LatentMap
from matgen_core.networks.models.ding import DING, DINGConfig
from matgen_core.representations import ElementCounts

LAYOUT = ElementCounts(("O", "Na", "Ti", "Fe", "Sr"), 4, absent_column=True)
CONFIG = DINGConfig(n_elements=5, max_count=4, latent_dim=6, hidden=24, prior_hidden=16, prior_blocks=2)


def small() -> Checkpoint:
    torch.manual_seed(0)
    model = DING(CONFIG).eval()
    model.standardize(torch.tensor([[-3.0, 9.0, -8.0], [-1.0, 20.0, -5.0], [0.0, 15.0, -2.0]]))
    table = pd.DataFrame({"id": ["a", "b"], "formula": ["SrTiO3", "Fe2O3"], "split": "train"})
    x = np.stack([LAYOUT.encode(Composition(text)) for text in table["formula"]])
    z = model.encode(torch.from_numpy(x)).mean.detach().numpy()
    return Checkpoint(
        name="small",
        model_name="ding",
        model=model,
        representation=LAYOUT,
        metrics={"headline": {"figure": "none", "ours": "", "paper": ""}},
        card="",
        provenance={"title": "Small", "system": "none", "level": "composition"},
        index=with_points(table, z),
    )


@pytest.fixture(autouse=True)
def stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "checkpoints"))
    checkpoints.save(small(), tmp_path / "checkpoints" / "small")


def test_encode_gives_each_formula_a_point_or_the_reason(run, tmp_path: Path) -> None:
    formulas = {"CaO": "no Ca among the 5", "Fe9O12": "9 Fe", "what": "no formula", "Fe0.5O": "0.5 Fe"}
    texts = [*formulas, "O3TiSr", "NaO"]
    pd.DataFrame({"formula": texts}).to_csv(tmp_path / "in.csv", index=False)
    code, _, err = run("encode", "small", tmp_path / "in.csv", "--out", tmp_path / "z.parquet")
    table = pd.read_parquet(tmp_path / "z.parquet")
    assert code == 0
    assert table["input"].tolist() == texts
    for text, reason in formulas.items():
        row = table[table["input"] == text].iloc[0]
        assert reason in row["problem"]
        assert reason in err
        assert row["z"] is None
    space = LatentMap(small())
    np.testing.assert_allclose(table["z"].iloc[4], space.z[0], atol=2e-3)  # the order of elements means nothing
    assert table["problem"].iloc[4:].isna().all()


def test_decode_writes_a_row_for_every_point(run, tmp_path: Path) -> None:
    space = LatentMap(small())
    z = 3 * space.sample(40, 1)
    np.save(tmp_path / "z.npy", z)
    assert run("decode", "small", tmp_path / "z.npy", "--out", tmp_path / "out.csv")[0] == 0
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    made = [each.material for each in space.decode(z)]
    assert table["sample"].tolist() == list(range(1, 41))
    assert [bool(text) for text in table["formula"]] == [material is not None for material in made]
    assert all(Composition(text) == material for text, material in zip(table["formula"], made, strict=True) if text)
    assert ((table["problem"] == "") == (table["formula"] != "")).all()


def test_a_table_without_formulas_is_refused(run, tmp_path: Path) -> None:
    pd.DataFrame({"name": ["rust"]}).to_csv(tmp_path / "in.csv", index=False)
    code, _, err = run("encode", "small", tmp_path / "in.csv", "--out", tmp_path / "z.parquet")
    assert code == 2
    assert "has no column formula; its columns are: name" in err


def test_a_wish_that_the_model_does_not_take_is_refused_and_a_far_one_flagged() -> None:
    space = LatentMap(small())
    assert space.condition_of({"volume_per_atom": 12.0}, 3).shape == (3, CONFIG.n_conditions)
    with pytest.raises(ValueError, match="small takes no band gap; it takes formation_energy_per_atom"):
        space.condition_of({"band_gap": 1.0}, 3)
    with pytest.raises(ValueError, match="give a finite number"):
        space.condition_of({"volume_per_atom": float("nan")}, 3)
    with pytest.raises(ValueError, match="nothing is asked for"):
        space.condition_of({}, 3)
    assert space.far_from_training({"formation_energy_per_atom": -2.0}) == []
    (flag,) = space.far_from_training({"formation_energy_per_atom": -2.0, "volume_per_atom": 50.0})
    assert flag.startswith("volume_per_atom 50 is outside 9.0")


def test_drawn_points_hear_the_condition() -> None:
    space = LatentMap(small())
    for weight in space.model.prior.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    wanted = space.condition_of({"formation_energy_per_atom": -2.0}, 4)
    assert not np.allclose(space.sample(4, 0), space.sample(4, 0, condition=wanted))


def test_a_model_without_encoder_refuses_to_encode(run, formula_bank: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("formula\nNaCl\n")
    code, _, err = run("encode", formula_bank.name, tmp_path / "in.csv", "--out", tmp_path / "z.parquet")
    assert code == 2
    assert err.strip() == "matgen: formulas has no encoder; it generates, and finds no latent point of what is there"
    assert not (tmp_path / "z.parquet").exists()
