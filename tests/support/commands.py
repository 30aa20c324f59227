"""The command line, called as a person would."""

import sys

import pytest

from matgen_core import cli


def matgen(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Call the command and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["matgen", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)
