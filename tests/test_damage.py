"""Damaged checkpoint folders: each gives one line about itself, or loads as it was; nothing else ever comes of one."""

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from matgen_core import checkpoint
from matgen_core.checkpoint import NO_HASHES, Checkpoint, CheckpointError
from tests.support.broken import without_hashes
from tests.support.writers import untrained

FILES = ("config.json", "metrics.json", "card.md", "weights.safetensors", "known.parquet")
ODD: list[Any] = [None, [], {}, "", "x", -1, 0, 10**9, 1e308, float("nan"), True, [[]], {"x": {"y": []}}, "\ud800"]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkpoint, beside one that stays whole."""
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    made = replace(untrained(), metrics={"headline": {"figure": "none", "ours": "", "paper": ""}, "n": [1, {"a": 2.5}]})
    checkpoint.save(made, tmp_path / "tiny")
    shutil.copytree(Path(__file__).parents[1] / "checkpoints" / "phase_field_norm", tmp_path / "phase_field_norm")
    return tmp_path / "tiny"


def attempt(folder: Path) -> Checkpoint | str:
    """What comes of a folder: the checkpoint, or the line about it."""
    good, broken = checkpoint.summaries()
    assert "phase_field_norm" in {each["name"] for each in good}
    assert len(good) + len(broken) == len(checkpoint.names())
    checkpoint.has_map(folder.name)
    checkpoint.fingerprint(folder.name)
    try:
        return checkpoint.load(folder.name)
    except CheckpointError as error:
        line = str(error)
        assert folder.name in line
        assert "\n" not in line
        assert len(line) < 900
        return line


def assert_equal(one: Checkpoint, other: Checkpoint) -> None:
    assert (one.metrics, one.card, one.provenance) == (other.metrics, other.card, other.provenance)
    assert one.representation == other.representation
    assert (one.known.keys == other.known.keys).all()
    for key, value in one.model.state_dict().items():
        torch.testing.assert_close(value, other.model.state_dict()[key], rtol=0, atol=0)


def test_any_damage_of_a_folder_with_hashes_is_noticed(tiny: Path) -> None:
    """Bits that tip over, files that are cut off, longer, empty or another's: 300 damages of all files."""
    rng = random.Random(0)
    before = checkpoint.load("tiny")
    whole = {name: (tiny / name).read_bytes() for name in FILES}
    noticed = 0
    for number in range(300):
        name = FILES[number % len(FILES)]
        data = bytearray(whole[name])
        way = rng.choice(("bit", "bit", "bit", "bytes", "cut", "longer", "empty", "other"))
        place = rng.randrange(len(data))
        if way == "bit":
            data[place] ^= 1 << rng.randrange(8)
        elif way == "bytes":
            data[place : place + 8] = rng.randbytes(8)
        elif way == "cut":
            del data[place:]
        else:
            data = {"longer": data + rng.randbytes(9), "empty": bytearray(), "other": bytearray(whole["card.md"])}[way]
        (tiny / name).write_bytes(bytes(data))
        found = attempt(tiny)
        if isinstance(found, Checkpoint):
            assert_equal(found, before)  # a space in config.json means nothing
        else:
            noticed += 1
        (tiny / name).write_bytes(whole[name])
    assert noticed > 260
    assert_equal(checkpoint.load("tiny"), before)


def test_any_damage_of_an_older_folder_costs_its_own_line_alone(tiny: Path) -> None:
    """Without hashes not all is noticed, but whatever is wrong stays an affair of the folder: 300 damages."""
    rng = random.Random(1)
    without_hashes(tiny)
    assert checkpoint.load("tiny").notes == (NO_HASHES,)
    whole = {name: (tiny / name).read_bytes() for name in FILES}
    lines = 0
    for number in range(300):
        name = FILES[number % len(FILES)]
        if name.endswith(".json") and number % 2:
            values = json.loads(whole[name])
            where = values
            while isinstance(inner := where.get(rng.choice([*where, "new"])), dict) and inner:
                where = inner
            key = rng.choice([*where, "new"])
            if rng.random() < 0.2:
                where.pop(key, None)
            else:
                where[key] = rng.choice(ODD)
            data = json.dumps(values).encode()
        else:
            data = bytearray(whole[name])
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            data = data[: rng.choice([None, rng.randrange(len(data))])]
        (tiny / name).write_bytes(bytes(data))
        lines += isinstance(attempt(tiny), str)
        (tiny / name).write_bytes(whole[name])
    assert lines > 100


def deep(n: int) -> str:
    return '{"a":' * n + "1" + "}" * n


def link(path: Path, to: str) -> None:
    path.unlink()
    path.symlink_to(to)


def without(folder: Path, key: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config[key]
    (folder / "config.json").write_text(json.dumps(config))


CONFIG = {"n_elements": 6, "n_counts": 4, "n_slots": 3, "hidden": 16, "critic": 8}
WAYS: dict[str, Callable[[Path], object]] = {
    "metrics {}": lambda folder: (folder / "metrics.json").write_text("{}"),
    "deep": lambda folder: (folder / "metrics.json").write_text(deep(100_000)),
    "rather deep": lambda folder: (folder / "metrics.json").write_text(deep(40)),
    "long": lambda folder: (folder / "metrics.json").write_text(json.dumps({"a": "x" * 5_000_000})),
    "sparse": lambda folder: os.truncate(folder / "metrics.json", 100_000_000_000),
    "half characters": lambda folder: (folder / "metrics.json").write_text('{"headline": {"figure": "\\ud800"}}'),
    "headLine": lambda folder: (folder / "metrics.json").write_text('{"headLine": {"figure": ""}}'),
    "long number": lambda folder: (folder / "metrics.json").write_text(f'{{"a": {"9" * 10_000}}}'),
    "no title": lambda folder: without(folder, "title"),
    "no level": lambda folder: without(folder, "level"),
    "model []": lambda folder: without_hashes(folder, model=[]),
    "model {}": lambda folder: without_hashes(folder, model={}),
    "model_config []": lambda folder: without_hashes(folder, model_config=[]),
    "level []": lambda folder: without_hashes(folder, level=[]),
    "title {}": lambda folder: without_hashes(folder, title={}),
    "format []": lambda folder: without_hashes(folder, format=[]),
    "format of two lines": lambda folder: without_hashes(folder, format="2\n3"),
    "a setting that is no whole number": lambda folder: without_hashes(folder, model_config={**CONFIG, "n_slots": 3.0}),
    "a long setting": lambda folder: without_hashes(folder, model_config={**CONFIG, "x" * 2_000: 1}),
    "huge": lambda folder: without_hashes(folder, model_config={**CONFIG, "hidden": 10**6, "critic": 10**6}),
    "hashes []": lambda folder: (folder / "config.json").write_text(
        json.dumps(json.loads((folder / "config.json").read_text()) | {"sha256": []})
    ),
    "no hashes": lambda folder: without_hashes(folder, format=3),
    "config is a folder": lambda folder: ((folder / "config.json").unlink(), (folder / "config.json").mkdir()),
    "config is gone": lambda folder: (folder / "config.json").unlink(),
    "config loops": lambda folder: link(folder / "config.json", "config.json"),
    "config never ends": lambda folder: link(folder / "config.json", "/dev/zero"),
    "weights never end": lambda folder: link(folder / "weights.safetensors", "/dev/zero"),
    "card waits": lambda folder: ((folder / "card.md").unlink(), os.mkfifo(folder / "card.md")),
    "index of nothing": lambda folder: (folder / "index.parquet").write_bytes(b"PAR1"),
    "index loops": lambda folder: (folder / "index.parquet").symlink_to("index.parquet"),
    "header": lambda folder: (folder / "weights.safetensors").write_bytes(b"\xff" * 7 + b"\x00" + b"{}"),
    "folder is a link": lambda folder: (shutil.rmtree(folder), folder.symlink_to("tiny")),
}


def test_a_folder_that_is_broken_has_its_own_line(tiny: Path, tmp_path: Path, run) -> None:
    shutil.copytree(tiny, tmp_path / ".whole")
    for way, damage in WAYS.items():
        for has_hashes in (True, False):
            if not has_hashes and way != "hashes []":
                without_hashes(tiny)
            damage(tiny)
            found = attempt(tiny)
            code, out, err = run("models", "--json")
            assert code == 0, way
            assert [each["name"] for each in json.loads(out)][:1] == ["phase_field_norm"]
            listed = [line for line in err.splitlines() if "tiny" in line]
            assert len(listed) == (1 if way not in ONLY_WHERE_IT_IS_READ or not has_hashes else len(listed)), way
            assert isinstance(found, str) or (way in ONLY_IN_LISTS), way
            tiny.unlink() if tiny.is_symlink() else shutil.rmtree(tiny)
            shutil.copytree(tmp_path / ".whole", tiny)


# Without hashes a model works though what lists show of it is missing; weights are looked at where they are used.
ONLY_IN_LISTS = {"metrics {}", "headLine", "no title", "no level", "level []", "title {}"}
ONLY_WHERE_IT_IS_READ = {"header", "huge", "weights never end", "card waits"}
