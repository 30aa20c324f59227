"""Pieces of work for the tests: they double a number, fail, end their process, or wait until a file is there."""

import os
import signal
import time
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
    if word == "wait":
        while not Path(rest).exists():
            time.sleep(0.02)
        return {"number": 0, "problem": ""}, {}
    return {"number": 2 * int(content), "problem": ""}, {"half": int(content) / 2}


FUNCTIONS = {"piece": piece}
