"""Pieces of work for the tests: they double a number, fail, end their process, or wait at a pipe."""

import os
import signal
from pathlib import Path
from typing import Any


def piece(content: str, settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Do what the content says."""
    word, _, rest = content.partition(" ")
    if "calls" in settings:
        with Path(settings["calls"]).open("a") as file:
            file.write(f"{content}\n")
    if word == "fail":
        raise ValueError("it\nfails")
    if word == "fault":
        raise TypeError("a bug")
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "die-once" and not Path(rest).exists():
        Path(rest).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "held":  # tells its process by one pipe and waits at another: who opens them is never too early or late
        folder = Path(rest)
        (folder / "told").write_text(str(os.getpid()))
        (folder / "gate").read_text()
    if word in ("die-once", "held"):
        return {"number": 0, "problem": ""}, {}
    if word == "large":
        return {"number": 1, "problem": ""}, {"much": "x" * 50_000}
    return {"number": 2 * int(content), "problem": ""}, {"half": int(content) / 2}


FUNCTIONS = {"piece": piece}
