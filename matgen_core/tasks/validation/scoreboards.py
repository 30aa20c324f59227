"""The scoreboard: what was shipped, and what a person added by `matgen validate --scoreboard NAME`."""

import json
import re
from collections.abc import Mapping
from typing import Any

from matgen_core import checkpoint
from matgen_core.jobs.files.inputs import read_json
from matgen_core.jobs.files.outputs import write_text
from matgen_core.jobs.store import Store
from matgen_core.tasks.validation.judging import REFERENCES
from matgen_core.tasks.validation.scores import MEASURES

_FILE = "scoreboard.json"
_NAME = re.compile(r"[\w .()+-]{1,60}")
MAX_OWN = 200


def shipped() -> dict[str, dict[str, Any]]:
    """Return the scores of the generators here, by name, in their order; none without the checkpoint."""
    try:
        _, metrics = checkpoint.documents(REFERENCES)
    except checkpoint.CheckpointError:
        return {}
    return dict(metrics.get("scoreboard", {}).get("scores", {}))


def own() -> dict[str, dict[str, Any]]:
    """Return the scores that a person added on this machine, by name.

    Raises:
        ValueError: If the file is broken; the line names it.
    """
    path = Store().folder / _FILE
    if not path.exists():
        return {}
    try:
        return dict(read_json(path))
    except ValueError as error:
        raise ValueError(f"{path} cannot be used ({error}); move it away to begin anew") from error


def check_name(name: str) -> None:
    """Refuse a name that will not do on the scoreboard; one line."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"--scoreboard {name[:60]!r}; take at most 60 letters, digits, spaces and ( ) + - . _")


def keep(name: str, score: Mapping[str, Any]) -> None:
    """Keep a score under a name; one of that name is replaced.

    Raises:
        ValueError: If the name will not do, or there are too many.
        OSError: If it cannot be written.
    """
    check_name(name)
    scores = own() | {name: dict(score)}
    if len(scores) > MAX_OWN:
        raise ValueError(f"the scoreboard here has {MAX_OWN} names already; take one of them")
    write_text(Store().folder / _FILE, json.dumps(scores, indent=2) + "\n")


def lines(score: Mapping[str, Any]) -> str:
    """Write a score for a terminal, a line a measure."""
    found = [f"{score['n']:,} crystals asked for; shares of all of them, with the 95 % interval"]
    for each in MEASURES:
        value = score[each.key]
        if value is None:
            found.append(f"{'not told':>23}  {each.title}: {each.meaning}")
        elif each.is_share:
            low, high = score[f"{each.key}_low"], score[f"{each.key}_high"]
            found.append(f"{value:>7.1%} ({low:5.1%}, {high:6.1%})  {each.title}: {each.meaning}")
        else:
            found.append(f"{value:>23.3f}  {each.title}: {each.meaning}")
    return "\n".join(found)
