"""Damaged input for every door: `python -m fuzz [DOOR...] [-n 10000] [--seed 1] [--only NUMBER]`."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
KEPT = ROOT / ".fuzz"
_SHOWN = 12  # failures of a door, each with an input
_COLUMNS = (
    "door",
    "what comes in",
    "inputs",
    "read",
    "refused in one line",
    "failed",
    "over time",
    "over memory",
    "memory, MB",
)


def main() -> int:
    """Try the doors, print and write the counts, keep what failed; 1 if anything did."""
    asked = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    asked.add_argument("doors", nargs="*", metavar="DOOR", help="which doors; every one if none is named")
    asked.add_argument("-n", type=int, default=10_000, help="inputs a door")
    asked.add_argument("--seed", type=int, default=1, help="the same seed makes the same inputs")
    asked.add_argument("--only", type=int, metavar="NUMBER", help="one input alone, as a failure names it")
    asked.add_argument("--jobs", type=int, default=2, help="processes at a time")
    asked.add_argument("--out", type=Path, default=ROOT / "docs" / "fuzz.md", help="the table, if every door was tried")
    asked.add_argument("--as-made", action="store_true", help="keep failing inputs as they are, not made small")
    options = asked.parse_args()

    os.environ["OMP_NUM_THREADS"] = "1"  # processes that compute on every core wait for one another
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve more than a worker may have
    from fuzz.doors import DOORS, warm
    from fuzz.workers import Counts, by_kind, run

    unknown = [name for name in options.doors if name not in DOORS]
    if unknown or options.n < 1 or options.jobs < 1:
        asked.error(f"{', '.join(unknown) or 'nothing'} to try; doors: {', '.join(DOORS)}; -n and --jobs from 1")
    print(f"seed {options.seed}", flush=True)
    warm()
    n, first = (1, options.only) if options.only is not None else (options.n, 0)
    every: list[Counts] = []
    for name in options.doors or DOORS:
        counts = run(DOORS[name], n, options.seed, min(options.jobs, n), first, not options.as_made)
        every.append(counts)
        print(
            f"{name}: {counts.n:,} inputs, {counts.read:,} read, {counts.refused:,} refused in one line,"
            f" {len(counts.failures):,} failed, at most {counts.memory:,} MB",
            flush=True,
        )
        groups = sorted(by_kind(counts.failures), key=lambda each: -len(each[1]))
        if groups[_SHOWN:]:
            print(f"  the {_SHOWN} most frequent of {len(groups)} failures:")
        for failure, numbers in groups[:_SHOWN]:
            KEPT.mkdir(exist_ok=True)
            file = KEPT / f"{name}-{options.seed}-{numbers[0]}{DOORS[name].suffix}"
            file.write_bytes(failure.content)
            print(f"  {failure.kind}: {failure.where}; {len(numbers):,} inputs, such as {file}")
            print(f"    again: python -m fuzz {name} --seed {options.seed} --only {numbers[0]}", flush=True)
            if options.only is not None:
                print(failure.details)
    if not options.doors and options.only is None:
        options.out.write_text(_page(every, [DOORS[each.door].what for each in every], options.seed))
        print(f"wrote {options.out}")
    return int(any(counts.failures for counts in every))


def _page(every: Sequence["Counts"], what: Sequence[str], seed: int) -> str:  # type: ignore[name-defined] # noqa: F821
    rows = []
    for counts, comes_in in zip(every, what, strict=True):
        kinds = [failure.kind for failure in counts.failures]
        slow, large = kinds.count("time"), kinds.count("memory")
        cells = (counts.n, counts.read, counts.refused, len(kinds) - slow - large, slow, large, counts.memory)
        rows.append(f"| `{counts.door}` | {comes_in} | " + " | ".join(f"{cell:,}" for cell in cells) + " |")
    return _TEMPLATE.format(
        seed=seed,
        version=version("matgen-explorer"),
        python=".".join(map(str, sys.version_info[:3])),
        header=" | ".join(_COLUMNS),
        line="|".join("---" for _ in _COLUMNS),
        rows="\n".join(rows),
    )


_TEMPLATE = """# Damaged input

`make fuzz` writes this page. Each door is given sound inputs that were damaged: numbers that are none or too large,
lines lost and doubled, bytes changed, other encodings, deep brackets, great length. An input may be read, in part too,
or be refused in one line. Everything else is a failure: another exception, several lines, more than 10 s of computing
for one input, more than 1 GB beyond what a process has before it.

MatGen Explorer {version}, Python {python}, seed {seed}. Memory is the most that any input took beyond that.

| {header} |
|{line}|
{rows}
"""

if __name__ == "__main__":
    raise SystemExit(main())
