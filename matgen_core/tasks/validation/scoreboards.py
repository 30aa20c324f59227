"""The scoreboard: what was shipped, and what a person added by `matgen validate --scoreboard NAME`."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from filelock import FileLock

from matgen_core import checkpoint
from matgen_core.jobs.files.inputs import read_json
from matgen_core.jobs.files.outputs import write_text
from matgen_core.jobs.store import Store
from matgen_core.tasks.validation.scores import MEASURES, REFERENCES

KEY = "scoreboard"  # in the metrics of the checkpoint
_FILE = "scoreboard.json"
_NAME = re.compile(r"[\w .()+-]{1,60}")
MAX_OWN = 200
NETWORK_FREE = ("ion_exchange", "random_elements", "distorted")


def shipped() -> dict[str, dict[str, Any]]:
    """Return the scores of the generators here, by name, in their order; none without the checkpoint."""
    return dict(_stored().get("scores", {}))


def own() -> dict[str, dict[str, Any]]:
    """Return the scores that a person added on this machine, by name.

    Raises:
        ValueError: If the file is broken; the line names it.
    """
    path = Store().folder / _FILE
    if not path.exists():
        return {}
    try:
        return {name: _checked(name, each) for name, each in read_json(path).items()}
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
    path = Store().folder / _FILE
    with FileLock(path.with_suffix(".lock")):  # of two commands that end at once none forgets the other's
        scores = own() | {name: dict(score)}
        if len(scores) > MAX_OWN:
            raise ValueError(f"the scoreboard here has {MAX_OWN} names already; take one of them")
        write_text(path, json.dumps(scores, indent=2) + "\n")


def table() -> pd.DataFrame:
    """Return the scoreboard: a row a generator, in each kind the best by S.U.N. within 0.1 eV/atom first.

    Columns: name, kind ("here", "no network" or "yours"), n, and each of MEASURES by its key; shares in per cent.

    Raises:
        ValueError: If the file of own scores is broken.
    """
    rows = []
    for kind, scores in (("", shipped()), ("yours", own())):
        for name, each in scores.items():
            row = {"name": name, "kind": kind or ("no network" if name in NETWORK_FREE else "here"), "n": each["n"]}
            for measure in MEASURES:
                value = each.get(measure.key)  # a measure may be younger than a score
                row[measure.key] = None if value is None else value * 100 if measure.is_share else value
            rows.append(row)
    if not rows:
        return pd.DataFrame(columns=["name", "kind", "n", *(each.key for each in MEASURES)])
    return pd.DataFrame(rows).sort_values("msun", ascending=False, kind="stable", ignore_index=True)


def beside(name: str, score: Mapping[str, Any]) -> pd.DataFrame:
    """Return a score among those of the scoreboard: name, kind, n, each share in per cent with its interval.

    Raises:
        ValueError: If the file of own scores is broken.
    """
    rows = []
    for kind, scores in (("", shipped()), ("yours", own()), ("this", {name: score})):
        for each, found in scores.items():
            row = {"name": each, "kind": kind or ("no network" if each in NETWORK_FREE else "here"), "n": found["n"]}
            for key in (measure.key for measure in MEASURES if measure.is_share):
                for column in (key, f"{key}_low", f"{key}_high"):
                    value = found.get(column)
                    row[column] = None if value is None else 100 * value
            rows.append(row)
    return pd.DataFrame(rows)


def protocol() -> str:
    """Say how the generators here were compared; "" without the checkpoint."""
    stored = _stored()
    if not stored:
        return ""
    how = stored["protocol"]
    return (
        f"{stored['n']:,} samples of each (seed {stored['seed']}), relaxed with {how['potential']} until all forces"
        f" are below {how['max_force']:g} eV/Å, at most {how['max_steps']} steps, and held against the hull of known"
        " phases."
        f" What lies impossibly low counts if {how['second']} agrees. Shares are of all samples, failed ones"
        f" included; two of them differ by chance by up to {100 * stored['chance']:.1f} points."
    )


def verdict() -> str:
    """Say what the scores here show of networks beside what needs none; "" without them."""
    scores = shipped()
    if not set(NETWORK_FREE) < set(scores):
        return ""
    best = max((name for name in scores if name not in NETWORK_FREE), key=lambda name: scores[name]["msun"])
    exchange, network = scores[NETWORK_FREE[0]], scores[best]
    rare = 1 - network["msun_common"] / network["msun"]
    return (
        f"Like elements exchanged in known crystals, without any network: {exchange['msun']:.1%} S.U.N. within"
        f" 0.1 eV/atom. The best network here, {best}: {network['msun']:.1%}; {rare:.0%} of that holds a lanthanide or"
        f" an actinide, whose known phases are few. Random elements on known skeletons reach"
        f" {scores['random_elements']['msun']:.1%}, distorted known crystals {scores['distorted']['msun']:.1%}: the"
        " floor."
    )


def _checked(name: str, score: Any) -> dict[str, Any]:
    if not isinstance(score, dict) or not isinstance(score.get("n"), int):
        raise ValueError(f"{name[:60]!r} holds no score")
    if not all(isinstance(score.get(each.key), float | int | None) for each in MEASURES):
        raise ValueError(f"a measure of {name[:60]!r} is no number")
    return score


def _stored() -> dict[str, Any]:
    try:
        _, metrics = checkpoint.documents(REFERENCES)
    except checkpoint.CheckpointError:
        return {}
    return dict(metrics.get(KEY, {}))


def chance(n: int) -> float:
    """Return by how much, in per cent, two shares of n samples each may differ by chance, one time in twenty at most.

    Near a half; smaller and larger shares differ by less.
    """
    return 100 * 1.96 * math.sqrt(2 * 0.25 / n)


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
