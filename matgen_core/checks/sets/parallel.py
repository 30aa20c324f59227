"""A map over worker processes that reports its progress; pymatgen's matching and neighbors hold the GIL."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # items done, items in all

_CHUNK = 16  # items sent at once
_WORTH = 256  # fewer items are done sooner here: a process takes seconds to load pymatgen, a crystal some milliseconds


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], n_workers: int, progress: Progress | None
) -> list[Result]:
    """Return the function of every item, in order.

    Args:
        function: A function of a module, since it is sent to other processes.
        items: What to apply it to.
        n_workers: Processes; with 1, or with fewer than 256 items, this one works alone.
        progress: Called with the items done and their number.
    """
    results: list[Result] = []

    def collect(stream: Iterable[Result]) -> None:
        for result in stream:
            results.append(result)
            if progress:
                progress(len(results), len(items))

    if n_workers <= 1 or len(items) < _WORTH:
        collect(map(function, items))
    else:
        # spawn: a fork of a process in which torch or a server runs threads can hang
        with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
            collect(pool.map(function, items, chunksize=_CHUNK))
    return results
