"""Learn a checkpoint where torch is and nothing else has to be, from arrays that were prepared elsewhere.

First `matgen train icsg3d --prepare icsg3d.safetensors` where the data are, then on the other machine
`python -m matgen_core.networks.learning icsg3d --arrays icsg3d.safetensors --out run --device cuda`,
and with that folder `matgen train icsg3d --from run` where the data are.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matgen_core.networks.arrays import tensors
from matgen_core.networks.learning import LEARNERS, learner_named, runs


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn; input that cannot be used ends with one line on standard error and exit 2."""
    parser = argparse.ArgumentParser(
        prog="python -m matgen_core.networks.learning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help=", ".join(LEARNERS))
    parser.add_argument("--arrays", type=Path, required=True, help="what matgen train NAME --prepare wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for settings, weights and losses")
    parser.add_argument("--minutes", type=float, help="limit of the whole run, shared out as those of the settings are")
    parser.add_argument("--device", default=tensors.best_device(), help="cpu or cuda")
    parser.add_argument("--seed", type=int, help="in place of that of the settings")
    parser.add_argument("--networks", help="of ding: which are trained, separated by commas")
    parser.add_argument(
        "--settings", default="{}", help='other values as JSON: \'{"config": {"beta": 0.02}, "prior": {"epochs": 50}}\''
    )
    given = parser.parse_args(arguments)
    try:
        learner = runs.changed(learner_named(given.name), _changes(given))
        runs.learn(given.name, learner, given.arrays, given.out, given.device, given.minutes)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        raise SystemExit(2) from error
    sys.stderr.write(f"wrote {given.out}\n")


def _changes(given: argparse.Namespace) -> dict[str, Any]:
    """Gather what the command line says in place of the settings."""
    try:
        changes = json.loads(given.settings)
    except json.JSONDecodeError as error:
        raise ValueError(f"--settings {given.settings}: no JSON ({error})") from error
    if not isinstance(changes, dict):
        raise ValueError(f"--settings {given.settings}: expected a JSON object")
    if given.networks is not None:
        changes["networks"] = given.networks.split(",")
    if given.seed is not None:
        changes["seed"] = given.seed
    return changes


if __name__ == "__main__":
    main()
