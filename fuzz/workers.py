"""Inputs tried in processes that end where one takes too much time or memory; the next begins behind that input."""

import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from fuzz.trying import Door, Failure, smallest, tried

SECONDS = 10.0  # of computing, for one input
STANDSTILL = 120.0  # seconds in which an input that computes nothing must end
MEGABYTES = 1024  # beyond what a worker has when it starts
_KEPT = 3  # inputs of each failure that are made small and kept
_CURRENT, _READ, _REFUSED, _MEMORY = range(4)


@dataclass
class Counts:
    """What became of the inputs of a door; memory in MB beyond a worker's own."""

    door: str
    n: int
    read: int = 0
    refused: int = 0
    memory: int = 0
    failures: list[Failure] = field(default_factory=list)


def run(door: Door, n: int, seed: int, jobs: int = 2, first: int = 0, shrink: bool = True) -> Counts:
    """Try inputs of a door, numbered from `first`; those that fail are made small if `shrink`."""
    context = multiprocessing.get_context("fork")  # what doors import is there at once
    ends, counts = first + n, Counts(door.name, n)
    shared = [context.RawArray("q", 4) for _ in range(jobs)]
    running = {i: _start(context, door, seed, range(first + i, ends, jobs), shared[i], shrink) for i in range(jobs)}
    moved = dict.fromkeys(running, (-1, time.monotonic()))
    while running:
        wait([connection for _, connection in running.values()], timeout=1)
        for i, (process, connection) in list(running.items()):
            ended = False
            while connection.poll():
                try:
                    counts.failures.append(connection.recv())
                except EOFError:
                    ended = True
                    break
            current = shared[i][_CURRENT]
            if current != moved[i][0]:
                moved[i] = (current, time.monotonic())
            elif time.monotonic() - moved[i][1] > STANDSTILL:
                process.kill()
            if not ended:
                continue
            process.join()
            connection.close()
            del running[i]
            if process.exitcode:
                counts.failures.append(replace(_death(process.exitcode, current), content=door.input(seed, current)))
                left = range(current + jobs, ends, jobs)
                if left:
                    running[i], moved[i] = _start(context, door, seed, left, shared[i], shrink), (-1, time.monotonic())
    counts.read, counts.refused = (sum(each[place] for each in shared) for place in (_READ, _REFUSED))
    counts.memory = max(each[_MEMORY] for each in shared)
    return counts


def _start(context: Any, door: Door, seed: int, numbers: range, shared: Any, shrink: bool) -> tuple[Any, Connection]:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(door, seed, numbers, shared, shrink, theirs), daemon=True)
    sys.stdout.flush()
    process.start()
    theirs.close()
    return process, ours


def _death(code: int, number: int) -> Failure:
    if -code == signal.SIGPROF:
        return Failure(number, "time", f"more than {SECONDS:g} s")
    if -code == signal.SIGKILL:
        return Failure(number, "time", f"nothing computed, and no end within {STANDSTILL:g} s")
    return Failure(number, "crash", f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}")


def _work(door: Door, seed: int, numbers: range, shared: Any, shrink: bool, connection: Connection) -> None:
    """Try inputs one after the other; the timer ends this process where one computes too long."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _limit_memory()
    kept: dict[str, int] = {}
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    os.chdir(folder)
    try:
        for number in numbers:
            shared[_CURRENT] = number
            content = door.input(seed, number)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            found = tried(door, content, folder)
            signal.setitimer(signal.ITIMER_PROF, 0)
            shared[_MEMORY] = max(
                shared[_MEMORY], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
            )
            if isinstance(found, Failure):
                kept[found.where] = kept.get(found.where, 0) + 1
                found = replace(found, content=content)
                if shrink and kept[found.where] <= _KEPT:
                    signal.setitimer(signal.ITIMER_PROF, 10 * SECONDS)
                    small = smallest(door, content, folder, found)
                    signal.setitimer(signal.ITIMER_PROF, 0)
                    found = replace(found, content=small)
                connection.send(replace(found, number=number))
            else:
                shared[_READ if found else _REFUSED] += 1
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
    connection.close()


def _limit_memory() -> None:
    status = Path("/proc/self/status")
    if status.exists():  # elsewhere time alone is limited
        now = (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmSize:")) * 1024
        )
        resource.setrlimit(resource.RLIMIT_AS, (now + MEGABYTES * 1024**2, resource.getrlimit(resource.RLIMIT_AS)[1]))


def by_kind(failures: list[Failure]) -> Iterator[tuple[Failure, list[int]]]:
    """The first of each failure, and the numbers of all inputs that failed so."""
    groups: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        groups.setdefault((failure.kind, failure.where), []).append(failure)
    for same in groups.values():
        yield min(same, key=lambda each: (not each.content, len(each.content))), sorted(each.number for each in same)
