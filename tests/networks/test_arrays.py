"""Dataclasses of tensors: saved, loaded, moved, chosen from; and the names of the parts that they are split into."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from matgen_core.networks.arrays import splits, tensors
from matgen_core.networks.arrays.crystals import CrystalArrays
from matgen_core.networks.arrays.formulas import FormulaArrays
from tests.support.arrays import crystal_arrays, formula_arrays


@dataclass(frozen=True, eq=False)
class Cloud:
    points: Tensor
    small: Tensor = field(metadata=tensors.stored_as(torch.uint16, torch.int32))


@dataclass(frozen=True, eq=False)
class Sky:
    elements: tuple[str, ...]
    main: Cloud
    others: dict[str, Cloud]
    weights: dict[str, Tensor]
    facts: dict[str, Any]


def cloud(seed: int) -> Cloud:
    points = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed)).T  # not as it lies in memory
    return Cloud(points, torch.tensor([0, 40_000 + seed, 65_535], dtype=torch.int32))


def sky() -> Sky:
    weights = {"0.weight": torch.ones(2), "0.bias": torch.zeros(1, dtype=torch.float16)}
    return Sky(("Na", "Cl"), cloud(1), {"one": cloud(2), "two": cloud(3)}, weights, {"cutoff": 8.0, "main.points": 1})


def test_everything_comes_back_from_one_file(tmp_path: Path) -> None:
    before = sky()
    tensors.save(before, tmp_path / "sky")
    after = tensors.load(Sky, tmp_path / "sky")
    assert (after.elements, after.facts) == (before.elements, before.facts)
    assert list(after.others) == ["one", "two"]
    assert set(after.weights) == set(before.weights)
    assert after.weights["0.bias"].dtype == torch.float16
    for one, other in ((after.main, before.main), *((after.others[key], before.others[key]) for key in after.others)):
        assert torch.equal(one.points, other.points)
        assert torch.equal(one.small, other.small)
        assert one.small.dtype == torch.int32
    assert (tmp_path / "sky").stat().st_size < 2_000  # small numbers take two bytes


def test_a_file_is_not_taken_for_another(tmp_path: Path) -> None:
    formula_arrays().save(tmp_path / "formulas")
    with pytest.raises(ValueError, match="holds FormulaArrays, expected CrystalArrays"):
        CrystalArrays.load(tmp_path / "formulas")
    (tmp_path / "cut").write_bytes((tmp_path / "formulas").read_bytes()[:90])
    with pytest.raises(ValueError, match="cannot be read as arrays"):
        FormulaArrays.load(tmp_path / "cut")
    with pytest.raises(FileNotFoundError):
        FormulaArrays.load(tmp_path / "nothing")


def test_a_file_of_an_older_class_of_the_same_name_says_what_it_lacks(tmp_path: Path) -> None:
    older = type("CrystalArrays", (Cloud,), {})(torch.ones(1), torch.ones(1))
    tensors.save(older, tmp_path / "older")
    with pytest.raises(ValueError, match="lacks elements, which CrystalArrays has"):
        CrystalArrays.load(tmp_path / "older")


def test_rows_are_chosen_by_numbers_or_a_mask_and_what_they_share_stays() -> None:
    arrays = crystal_arrays()
    by_number = arrays.select(torch.tensor([5, 1, 1]))
    assert by_number.ids == ("crystal-5", "crystal-1", "crystal-1")
    assert torch.equal(by_number.edge, arrays.edge[[5, 1, 1]])
    assert torch.equal(by_number.codes, arrays.codes)
    by_mask = arrays.select(arrays.edge > 4.0)
    assert by_mask.ids == tuple(name for name, edge in zip(arrays.ids, arrays.edge, strict=True) if edge > 4.0)
    assert arrays.of_part("val").ids == ("crystal-4",)


def test_all_tensors_move(tmp_path: Path) -> None:
    moved = tensors.to(sky(), "meta")
    assert moved.elements == ("Na", "Cl")
    found = [moved.main.points, moved.others["two"].small, moved.weights["0.weight"]]
    assert {tensor.device.type for tensor in found} == {"meta"}


def test_the_numbers_of_parts_in_files_stay() -> None:
    """Checkpoints, kept arrays and runs hold these places."""
    assert splits.THREE_PARTS == ("train", "val", "test")
    assert splits.TWO_PARTS == ("train", "held_out")
    assert splits.GROUPS == ("guide", "judge", "validation", "test")
    assert splits.TRAINING_GROUPS == ("guide", "judge")


def test_an_empty_slot_takes_nothing_from_the_first_element() -> None:
    """The element of the first column stands before the empty slots, between them and behind them."""
    species = torch.tensor([[0, -1, -1], [-1, 0, -1], [1, -1, 0]], dtype=torch.int8)
    counts = torch.tensor([[3, 0, 0], [0, 2, 0], [1, 0, 4]], dtype=torch.int8)
    arrays = FormulaArrays(("Li", "O"), species, counts, torch.zeros(3, dtype=torch.int8))
    assert arrays.dense(torch.arange(3)).tolist() == [[3, 0], [2, 0], [4, 1]]
