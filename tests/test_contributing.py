"""The worked example of CONTRIBUTING.md, followed step by step in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from matgen_core import checkpoint
from tests.support.serving import ROOT


def new_files(text: str) -> dict[str, str]:
    """Files that the example writes: the path that is named last before a block of code."""
    found = {}
    for block in re.finditer(r"```(?:python|jinja)\n(.*?)```", text, re.DOTALL):
        paths = re.findall(r"`((?:matgen_core|tests)/[\w/]+\.(?:py|md))`", text[: block.start()])
        found[[path for path in paths if "formula_axes" in path][-1]] = block.group(1)
    return found


def new_lines(text: str) -> list[tuple[str, str, str]]:
    """Lines that the example adds: file, the line before, the line."""
    found = []
    for block in re.findall(r"```diff\n(.*?)```", text, re.DOTALL):
        path, *lines = block.splitlines()
        found += [(path, before[1:], line[1:]) for before, line in pairwise(lines) if line.startswith("+")]
    return found


def test_a_model_is_three_files_a_card_and_five_lines(tmp_path: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## Adding a model")[2]
    for folder in ("matgen_core", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "screenshots"))
    for file in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    for name in checkpoint.names():
        (checkpoints / name).symlink_to(checkpoint.root() / name)
    written, added = new_files(text), new_lines(text)
    assert len(written) == 5  # network, learner, recipe with its __init__, card
    for path, content in written.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)
    for path, before, line in added:
        old = (tmp_path / path).read_text()
        assert old.count(f"{before}\n") == 1, f"{path} has no single line {before!r}"
        (tmp_path / path).write_text(old.replace(f"{before}\n", f"{before}\n{line}\n"))
    lists = {path for path, _, line in added if not line.startswith("from ")}
    assert len(lists) == 5  # MODELS, LEARNERS, RECIPES, tiny settings, README

    steps = """
import sys
import pytest
from matgen_core import cli
def matgen(*words):
    sys.argv = ["matgen", *words]
    try:
        cli.main()
    except SystemExit as stopped:
        assert not stopped.code, words
matgen("train", "formula_axes")
matgen("card", "formula_axes")
matgen("evaluate", "formula_axes")
open("mine.csv", "w").write("formula\\nMoS2\\n")
matgen("encode", "formula_axes", "mine.csv", "--out", "points.parquet")
contract = ["-q", "-p", "no:cacheprovider", "tests/networks/test_models.py", "-k", "formula_axes or tiny"]
raise SystemExit(pytest.main(contract))
"""
    outer = {name: value for name, value in os.environ.items() if name != "SKIPPED"}  # of the tests around this one
    environment = outer | {
        "MATGEN_CHECKPOINTS": str(checkpoints),
        "PYTHONPATH": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", steps], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    card = (checkpoints / "formula_axes" / "card.md").read_text()
    assert re.search(r"come back exactly \| +\d+\.\d%", card)
    assert (tmp_path / "points.parquet").is_file()
