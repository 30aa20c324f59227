"""Which phase fields there are: every set of elements that keeps to what a chemist allows."""

import gc
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations
from math import comb

from matgen_core.materials.elements import check_elements
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.notation import shown

MAX_FIELDS = 5_000_000


def enumerate_fields(
    must: Iterable[str],
    cations: Iterable[str],
    anions: Iterable[str],
    n_elements: int = 4,
    n_anions: int = 2,
    known: Collection[PhaseField] = (),
) -> list[PhaseField]:
    """List every phase field that holds all of `must` and fills up with `cations` and `anions`.

    Args:
        must: Elements that every field holds; those that are in `anions` count as anions.
        cations: Elements that may stand in the other cation places.
        anions: Elements that may stand in the anion places.
        n_elements: Elements in a field.
        n_anions: How many of them are anions.
        known: Fields to leave out.

    Returns:
        Fields, sorted.

    Raises:
        ValueError: If an element is unknown, the places cannot be filled, or there are more than MAX_FIELDS.
    """
    must, anions = check_elements(must), check_elements(anions)
    cations = [symbol for symbol in check_elements(cations) if symbol not in anions]
    must_anions = [symbol for symbol in must if symbol in anions]
    places_anions = n_anions - len(must_anions)
    places_cations = (n_elements - n_anions) - (len(must) - len(must_anions))
    if not 2 <= n_elements <= 8 or not 0 <= n_anions <= n_elements:
        asked = shown(f"{n_elements} elements with {n_anions} anions")[1:-1]
        raise ValueError(f"{asked}; a field has 2 to 8 elements, no more anions")
    if places_anions < 0 or places_cations < 0:
        needed_ones = ", ".join(must[:8]) + (" …" if len(must) > 8 else "")
        raise ValueError(
            f"{needed_ones} must all be there, but a field of {n_elements} elements,"
            f" {n_anions} of them anions, has no place for them; ask for more elements or let fewer be required"
        )
    needed = tuple(must)
    # In order from the start, and plain tuples until they are sorted: Python is quicker with both.
    free_anions = sorted(symbol for symbol in anions if symbol not in must)
    free_cations = sorted(symbol for symbol in cations if symbol not in must)
    n_fields = comb(len(free_cations), places_cations) * comb(len(free_anions), places_anions)
    if n_fields > MAX_FIELDS:
        raise ValueError(f"{n_fields:,} fields, but at most {MAX_FIELDS:,} are listed at once; allow fewer elements")
    excluded = set(known)
    with _collector_waiting():
        rows = sorted(
            tuple(sorted(needed + metals + others))
            for metals in combinations(free_cations, places_cations)
            for others in combinations(free_anions, places_anions)
        )
        return [PhaseField.of_sorted(row) for row in rows if row not in excluded]


@contextmanager
def _collector_waiting() -> Iterator[None]:
    """Let the garbage collector wait: it would walk again and again through millions of fields, which hold no cycle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
