"""The commands of the README and of docs/command_line.md run as they are written; its figures are those of docs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from matgen_core import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SHELL = README + (ROOT / "docs" / "command_line.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```", SHELL, re.DOTALL | re.MULTILINE)
OURS = [block for block in BLOCKS if re.search(r"^matgen (?!app)", block, re.MULTILINE)]


def commands(block: str) -> list[str]:
    return [line for line in block.splitlines() if line.startswith("matgen ") and not line.startswith("matgen app")]


def test_there_is_something_to_run() -> None:
    assert sum(len(commands(block)) for block in OURS) >= 20


def test_the_figures_in_the_readme_are_those_that_were_measured() -> None:
    tables = " ".join(line for line in README.splitlines() if line.startswith("|"))
    figures = re.findall(r"(?<![\w./-])\d+(?:\.\d+%?|%)(?![\w./-])", re.sub(r"\(https?:[^)]*\)", "", tables))
    assert len(figures) > 20
    measured = (ROOT / "docs" / "figures.md").read_text()
    assert [figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", measured)] == []


def test_what_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)|(?:src|srcset)=\"([^\"]+)\"", README):
        assert (ROOT / (target[0] or target[1])).exists(), target


@pytest.mark.parametrize("block", OURS, ids=lambda block: commands(block)[0])
def test_a_block_of_commands_runs(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before, _, ours = block.partition("matgen ")  # what makes the files that the commands read
    subprocess.run(["bash", "-e", "-c", before], check=True)
    for line in commands("matgen " + ours):
        monkeypatch.setattr(sys, "argv", shlex.split(line, comments=True))
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert not stopped.value.code, f"{line}: {capsys.readouterr().err}"
    for name in re.findall(r"--out (\S+)", block):
        written = tmp_path / name
        assert written.is_file() or (written / "table.csv").is_file(), f"{name} was not written"
