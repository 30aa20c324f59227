"""Properties of formulas: every row keeps its place, in Python and on the command line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Composition, Lattice, Structure

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.data.structure_export import cif
from matgen_core.materials.formulas import Formulas
from matgen_core.recipes.two_d_screen.forest import Growth, grow
from matgen_core.representations import MagpieFeatures
from matgen_core.representations.element_counts import ElementCounts
from matgen_core.tasks import prediction
from tests.support.commands import matgen

ELEMENTS = ("O", "S", "Cl", "Fe", "Mo", "Ti")
TEXTS = ["Fe2O3", "Xy2", "MoS2", "Fe0.5O", "NaCl", "Mo3S6", "", "Ti(SO4)2", "FeO300"]
PROBLEMS = {
    1: "'Xy' is no element",
    3: "0.5 Fe; counts must be whole",
    4: "NaCl: no Na among the 6 elements",
    6: "'' is no formula",
    8: "300 O; counts must be whole",
}


@pytest.fixture(scope="module")
def model() -> Checkpoint:
    """A forest that knows sulfides from others."""
    representation = MagpieFeatures(ELEMENTS, np.random.default_rng(2).normal(size=(6, 22)) * 10)
    counts = np.random.default_rng(3).integers(0, 4, (300, 6)).astype(np.uint8)
    formulas = Formulas.of_table(counts[counts.any(1)], ELEMENTS)
    sulfide = formulas.table(["S"])[:, 0] > 0
    forest = grow(representation.encode_formulas(formulas), sulfide, Growth(n_trees=9, max_depth=6), seed=0)
    index = pd.DataFrame({"id": ["a", "b", "c"], "formula": ["MoS2", "TiO2", "FeCl3"]})
    provenance = {"title": "Sulfides", "system": "None", "level": "composition"}
    metrics = {"headline": {"figure": "none", "ours": "", "paper": ""}}
    return Checkpoint("sulfides", "random_forest", forest, representation, metrics, "card", provenance, index)


@pytest.fixture
def run(model: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    checkpoint.save(model, tmp_path / "checkpoints" / "sulfides")

    def call(*arguments: object, shipped: bool = False) -> tuple[int, str]:
        if not shipped:
            monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "checkpoints"))
        code = matgen(*map(str, arguments), monkeypatch=monkeypatch)
        return code, capsys.readouterr().err

    return call


def check(table: pd.DataFrame) -> None:
    """Ask of a table of TEXTS what must be true of it."""
    assert table["formula"].to_list() == TEXTS
    good = ~table.index.isin(PROBLEMS)
    for column in ("probability", "probability_std"):
        assert (table[column].notna() == good).all()
        assert table.loc[good, column].between(0, 1).all()
    for row, problem in enumerate(table["problem"]):
        assert (PROBLEMS[row] in problem) if row in PROBLEMS else problem == ""
    assert table["probability"][2] == table["probability"][5], "the size of a formula does not matter"
    assert table["probability"][2] > 0.6 > 0.4 > table["probability"][0]


def test_every_text_keeps_its_row(model: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prediction.predict_texts(model, TEXTS)
    check(whole)
    alone = model.model.predict(torch.from_numpy(model.representation.encode(Composition("Ti(SO4)2")))[None])
    assert whole.loc[7, ["probability", "probability_std"]].to_list() == [float(value) for value in alone]
    monkeypatch.setattr(prediction, "FORMULAS_A_CHUNK", 3)
    done: list[int] = []
    pd.testing.assert_frame_equal(prediction.predict_texts(model, TEXTS, done.append), whole)
    assert done == [6, 8]
    assert len(prediction.predict_texts(model, [])) == 0


class AtomNumber(torch.nn.Module):
    """How many atoms a formula has, to the network that reads its table."""

    properties = ("atoms", "nothing")

    def predict(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        atoms = (x * torch.arange(1, x.shape[2] + 1)).sum((1, 2))[:, None]
        return torch.cat([atoms, atoms * 0], 1), torch.cat([atoms * 0.5, atoms * 0], 1)


def test_a_formula_is_predicted_as_its_reduced_formula(model: Checkpoint) -> None:
    tables = replace(model, model=AtomNumber(), representation=ElementCounts(ELEMENTS, max_count=3))
    table = prediction.predict_texts(tables, ["Fe4O6", "Fe4O5", "Mo3S6"])
    assert table["atoms"].to_list() == [5, pytest.approx(np.nan, nan_ok=True), 3]
    assert table["atoms_std"].to_list() == [2.5, pytest.approx(np.nan, nan_ok=True), 1.5]
    assert table["problem"].to_list() == ["", "Fe4O5: 4 Fe, 5 O; counts must be whole, 1 to 3", ""]


def test_a_model_of_crystals_predicts_no_formulas(model: Checkpoint) -> None:
    assert prediction.predicts_formulas(model)
    crystals = checkpoint.load("cgcnn_energy")
    assert not prediction.predicts_formulas(crystals)
    with pytest.raises(ValueError, match=r"cgcnn_energy \(cgcnn\) predicts no properties of formulas"):
        prediction.predict_formulas(crystals, Formulas.of_texts(["NaCl"])[0])
    with pytest.raises(ValueError, match=r"sulfides .* predicts no properties of crystals"):
        prediction.predict(model, [])


def test_the_nearest_known_formula_is_found(model: Checkpoint) -> None:
    asked = Formulas.of_texts(["Mo2S4", "TiO2", "Ti5O9", "FeCl2"])[0]
    table = prediction.nearest_known(model, asked)
    assert table["nearest_known"].to_list() == ["MoS2", "TiO2", "TiO2", "FeCl3"]
    assert table["is_known"].to_list() == [True, True, False, False]
    assert table["distance"][:2].to_list() == pytest.approx([0, 0], abs=1e-6)
    x = model.representation.encode_formulas(Formulas.of_texts(["FeCl2", "MoS2", "TiO2", "FeCl3"])[0])
    spread = x[1:].std(0)
    assert table["distance"][3] == pytest.approx(float(np.sqrt((((x[0] - x[3]) / spread) ** 2).mean())), rel=1e-4)
    with pytest.raises(ValueError, match="has no index of formulas"):
        prediction.nearest_known(checkpoint.load("cgcnn_energy"), asked)


def test_a_csv_in_is_a_csv_out(run, tmp_path: Path) -> None:
    pd.DataFrame({"note": range(len(TEXTS)), "formula": TEXTS}).to_csv(tmp_path / "in.csv", index=False)
    code, err = run("predict", "sulfides", tmp_path / "in.csv", "--out", tmp_path / "new" / "out.csv")
    lines = err.splitlines()
    assert (code, lines[-1]) == (0, f"wrote 9 rows to {tmp_path}/new/out.csv")
    assert [line.split(": ")[0] for line in lines[:-1]] == [f"{tmp_path}/in.csv, line {row + 2}" for row in PROBLEMS]
    written = pd.read_csv(tmp_path / "new" / "out.csv", keep_default_na=False)
    assert list(written.columns) == ["formula", "probability", "probability_std", "problem", "note"]
    numbers = written[["probability", "probability_std"]].replace("", "nan").astype(float)
    check(written.assign(**numbers))


def test_crystals_are_judged_by_their_formulas(run, tmp_path: Path) -> None:
    rutile = Structure(Lattice.cubic(4), ["Ti", "S", "S"], [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]])
    (tmp_path / "b.cif").write_text(cif(rutile))
    (tmp_path / "a.cif").write_text("nonsense")
    assert run("predict", "sulfides", tmp_path / "a.cif", tmp_path / "b.cif", "--out", tmp_path / "o.csv")[0] == 0
    table = pd.read_csv(tmp_path / "o.csv")
    assert list(table.columns) == ["file", "formula", "probability", "probability_std", "problem", "note"]
    assert table["file"].to_list() == ["a.cif", "b.cif"]
    assert "no readable CIF" in table["problem"][0]
    assert table["formula"][1] == "TiS2"
    assert table["probability"].notna().to_list() == [False, True]


def test_input_that_cannot_be_used_is_one_line(run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("formula\nTiS2\n")
    (tmp_path / "other.csv").write_text("composition\nTiS2\n")
    code, err = run("predict", "sulfides", tmp_path / "other.csv")
    assert (code, err.count("\n")) == (2, 1)
    assert "has no column formula; its columns are: composition" in err
    assert run("predict", "sulfides", tmp_path / "in.csv", tmp_path / "other.csv")[0] == 2


def test_a_table_for_a_model_of_crystals_names_those_of_formulas(run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("formula\nTiS2\n")
    code, err = run("predict", "cgcnn_energy", tmp_path / "in.csv", shipped=True)
    assert (code, err.count("\n")) == (2, 1)
    assert "cgcnn_energy predicts no properties of formulas; give it structure files, or take one of: " in err
    assert "two_d_screen" in err
