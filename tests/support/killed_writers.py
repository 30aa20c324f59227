"""Writers that are killed at some moment of their work, each in a process of its own, and what they leave.

Run as `python -m tests.support.killed_writers FOLDER N`. A moment is a call, of Python or of C, counted from the
beginning: any, or one at which something has just changed in the folder. Or it is a byte of a file: the system ends a
process that writes more than it may, in the middle of the call. Prints what stood there after each kill.
"""

import json
import os
import random
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from matgen_core import checkpoint, cli
from matgen_core.jobs.files import outputs, tables
from matgen_core.networks.arrays import tensors
from tests.support.writers import untrained

NEW = pd.DataFrame({"number": range(400), "text": [f"row {i}" for i in range(400)]})
Work = Callable[[Path], object]


def command(*arguments: object) -> Work:
    """A command that writes to a place."""

    def call(place: Path) -> None:
        sys.argv = ["matgen", *(str(place if each is ... else each) for each in arguments)]
        try:
            cli.main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"{sys.argv} ended with {end.code}") from end

    return call


def folder_of_files(place: Path) -> None:
    with outputs.whole_folder(place) as made:
        for i in range(20):
            (made / f"{i}.cif").write_text("new")


def growing(place: Path) -> None:
    with tables.growing(place) as table:
        for start in range(0, 400, 100):
            table.write(NEW[start : start + 100])


def writers(given: Path) -> dict[str, Work]:
    """What is tried: each is given the place, where an old file or folder stands."""
    (given / "fields.csv").write_text("phase_field\nLi-Sn-S-Cl\nLi-Si-S-Cl\n")
    return {
        "text.json": lambda place: outputs.write_text(place, "new " * 9_000),
        "table.csv": lambda place: tables.save_csv(NEW, place),
        "table.parquet": lambda place: tables.save_parquet(NEW, place),
        "weights.safetensors": lambda place: tensors.write({"a": torch.arange(9_000)}, place),
        "folder": folder_of_files,
        "grown.csv": growing,
        "tiny": lambda place: checkpoint.save(untrained(), place),
        "rank.csv": command("rank", given / "fields.csv", "--model", "phase_field_norm", "--out", ...),
    }


def content(place: Path) -> Any:
    """Everything that stands at a place."""
    if place.is_dir():
        return {path.name: path.read_bytes() for path in sorted(place.iterdir())}
    return place.read_bytes() if place.exists() else None


def put_old(place: Path) -> None:
    """Leave nothing but something old at a place."""
    shutil.rmtree(place.parent, ignore_errors=True)
    place.parent.mkdir()
    if place.suffix:
        place.write_text("old")
    else:
        place.mkdir()
        (place / "old").write_text("old")


def sizes(folder: Path) -> list[tuple[str, int]]:
    """What stands in a folder, with the sizes."""
    return sorted((entry.path, entry.stat().st_size) for entry in os.scandir(folder))


def run(work: Work, place: Path, moment: int = 0, most: int = 0, watched: bool = False) -> list[int] | None:
    """Work in a process of its own.

    Args:
        work: What to do.
        place: Where.
        moment: The call at which it is killed, if any.
        most: The length of a file at which it is killed, if any.
        watched: Whether to count calls.

    Returns:
        None of one that was killed; of one that was watched the calls at which something changed, and their number.
    """
    reader, to_us = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            changes, n, before = [], 0, sizes(place.parent)

            def count(frame: Any, event: str, of: Any) -> None:
                nonlocal n, before
                n += 1
                if n == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                if watched and event != "return" and (now := sizes(place.parent)) != before:
                    before = now
                    changes.append(n)

            sys.stderr = open(os.devnull, "w")
            if most:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            if moment or watched:
                sys.setprofile(count)
            work(place)
            sys.setprofile(None)
            with os.fdopen(to_us, "w") as file:
                json.dump([*changes, n], file)
            code = 0
        except BaseException as error:
            os.write(2, f"{place.name}: {error!r}\n".encode())
        finally:
            os._exit(code)
    os.close(to_us)
    with os.fdopen(reader) as file:
        said = file.read()
    os.waitpid(child, 0)
    return json.loads(said) if said else None


def main(folder: Path, n_kills: int) -> None:
    rng = random.Random(0)
    given = folder / "given"
    given.mkdir()
    found = []
    every = writers(given)
    for name, work in every.items():
        place = folder / "out" / name
        put_old(place)
        old = content(place)
        calls = run(work, place, watched=True)
        assert calls, f"{name} did not end by itself"
        new = content(place)
        longest = max(map(len, new.values() if isinstance(new, dict) else [new]))
        for number in range(n_kills // len(every)):
            put_old(place)
            changed = min(rng.choice(calls[:-1]) + rng.randint(0, 3), calls[-1])
            ways = {"most": rng.randrange(1, longest)}, {"moment": changed}, {"moment": rng.randint(1, calls[-1])}
            ended = run(work, place, **ways[number % 3])
            after = content(place)
            state = "old" if after == old else "new" if after == new else "broken"
            left = sorted(path.name for path in place.parent.iterdir() if path != place)
            if number % 4 == 0 or (left and number % 2):  # the next writer succeeds, and tidies up
                assert run(work, place) is not None
                assert content(place) == new
                assert os.listdir(place.parent) == [name]
            found.append([name, ways[number % 3], ended is None, state, left])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
