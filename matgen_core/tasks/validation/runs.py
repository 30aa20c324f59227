"""A whole run: candidates judged piece by piece and kept, or from what another machine relaxed; its folder."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Element, Lattice, Structure

from matgen_core.checks.physics import Energy, Relaxation
from matgen_core.jobs.bounded import Limits
from matgen_core.jobs.files.outputs import whole_folder
from matgen_core.jobs.files.tables import save_csv
from matgen_core.jobs.pieces import ClusterWorkers, ProcessWorkers, Workers, work_through
from matgen_core.jobs.store import Store, Work
from matgen_core.networks.potentials import CONVERGED, OUTCOMES
from matgen_core.networks.potentials.remote import RelaxedCells, fingerprint
from matgen_core.tasks.validation import inputs, judging
from matgen_core.tasks.validation.inputs import Candidate, cells_of
from matgen_core.tasks.validation.judging import KIND
from matgen_core.tasks.validation.scores import Protocol

MODULE = "matgen_core.tasks.validation.judging"
NOT_YET = "not judged yet"
LIMITS = Limits(seconds=900, megabytes=6_000)  # of one crystal


@dataclass(frozen=True)
class Judged:
    """Candidates that were judged one by one.

    Attributes:
        rows: A row each, as `table_of` takes them.
        rests: What is kept beside each.
        protocol: How.
    """

    rows: list[dict[str, Any]]
    rests: list[dict[str, Any]]
    protocol: Protocol


def workers_of(processes: int = 0, scheduler: str = "", minutes: float = LIMITS.seconds / 60) -> Workers:
    """Return processes of this machine, a core each unless a number is given, or a cluster.

    Args:
        processes: 0 for one a core.
        scheduler: Address of a cluster, "" for this machine.
        minutes: What a crystal may take on this machine; a cluster has limits of its own.

    Raises:
        ValueError: If nobody answers at the address, or a number is out of range.
    """
    if not minutes > 0:
        raise ValueError(f"{minutes:g} minutes for a crystal; expected more than 0")
    if scheduler:
        return ClusterWorkers(MODULE, scheduler)
    if processes < 0:
        raise ValueError(f"{processes} processes; expected 1 or more, or 0 for one a core")
    return ProcessWorkers(MODULE, processes or os.cpu_count() or 1, replace(LIMITS, seconds=60 * minutes))


def begin(
    store: Store,
    candidates: Sequence[Candidate],
    protocol: Protocol,
    title: str,
    owner: str = "",
    source: Mapping[str, Any] | None = None,
) -> Work:
    """Keep what is to be judged, and what cannot be; see `Store.add` for what is refused.

    Args:
        store: Where.
        candidates: All that are asked for.
        protocol: How they are judged.
        title: What people call the work.
        owner: Who asks.
        source: What made the crystals, as JSON holds it.
    """
    pieces = [
        (each.name, judging.content_of(each.structure))
        for each in candidates
        if each.can_be_judged and each.structure is not None
    ]
    if not pieces:
        raise ValueError("no crystal here can be relaxed")
    about = {"source": dict(source or {}), "candidates": [inputs.plain(each) for each in candidates]}
    return store.add(KIND, title, judging.settings_of(protocol), pieces, owner, about)


def candidates_of(store: Store, work: str) -> list[Candidate]:
    """Return all that were asked for in a work, in their order."""
    pieces = iter(store.pieces(work))
    return [
        inputs.from_plain(each, judging.structure_of(next(pieces).content) if each["is_piece"] else None)
        for each in store.about(work)["candidates"]
    ]


def judged(
    candidates: Sequence[Candidate],
    protocol: Protocol,
    workers: Workers,
    done: Callable[[int], None],
    store: Store | None = None,
    again: bool = False,
) -> Judged:
    """Judge candidates; what was judged before, by whomever, is not computed again.

    What took too long is, where it may take longer now, or if `again` is true.
    """
    if not any(each.can_be_judged for each in candidates):
        rows = [judging.unjudged_row(each.structure, each.problem) for each in candidates]
        return Judged(rows, [{} for _ in candidates], protocol)
    store = store or Store()
    work = begin(store, candidates, protocol, "command line")
    work_through(store, work.id, workers, judging.failed, lambda n_done, n: done(n_done), again=again)
    return Judged(*gathered(store, work.id, candidates), protocol)


def gathered(
    store: Store, work: str, candidates: Sequence[Candidate]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of all candidates in their order: those of the store, and those that could not be judged."""
    places = iter(range(len(candidates)))
    rests = [store.rest(work, next(places)) if each.can_be_judged else {} for each in candidates]
    return rows_of(store, work, candidates), rests


def rows_of(store: Store, work: str, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Return the rows alone, as `gathered` does."""
    kept = iter(store.rows(work))
    rows = []
    for each in candidates:
        found = next(kept) if each.can_be_judged else None
        rows.append(found or judging.unjudged_row(each.structure, each.problem or NOT_YET))
    return rows


def judged_from(candidates: Sequence[Candidate], file: Path) -> Judged:
    """Judge candidates by what `python -m matgen_core.networks.potentials` wrote of them.

    Raises:
        ValueError: If the file is of other crystals, or of none.
    """
    there = [each.structure for each in candidates if each.can_be_judged and each.structure is not None]
    done = RelaxedCells.load(file)
    given = cells_of(there)
    if done.given != fingerprint(given):
        raise ValueError(
            f"{file} holds {len(done.cells):,} relaxed crystals, and not of the {len(given):,} that are given here;"
            " give the files that --prepare was given, as they were"
        )
    sites = iter(zip(there, done.cells.sites(), range(len(there)), strict=True))
    references = judging.references()
    rows, rests = [], []
    for each in candidates:
        row, rest = judging.unjudged_row(each.structure, each.problem), dict[str, Any]()
        if each.can_be_judged:
            structure, (numbers, cell, frac_coords), place = next(sites)
            relaxation = _relaxation(
                done, place, Structure(Lattice(cell), [Element.from_Z(int(z)) for z in numbers], frac_coords)
            )
            stability = None
            if relaxation.structure is not None and relaxation.energy_per_atom is not None:
                other = float(done.second_energy[place])
                second = Energy(done.potentials[1], other) if np.isfinite(other) else None
                first = Energy(done.potentials[0], relaxation.energy_per_atom)
                stability = references.stability(relaxation.structure, first, second)
            row, rest = judging.row_of(structure, relaxation, stability), judging.rest_of(relaxation, stability)
        rows.append(row)
        rests.append(rest)
    return Judged(rows, rests, Protocol(*done.potentials, done.max_force, done.max_steps))


def write(candidates: Sequence[Candidate], table: pd.DataFrame, rests: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write table.csv, and a CIF of each crystal that was relaxed."""
    from matgen_core.data.structure_export import cif, distinct_names

    stems = distinct_names([Path(each.name.replace("/", "_").replace(":", "_")).stem for each in candidates])
    with whole_folder(out) as folder:
        files = []
        for stem, rest in zip(stems, rests, strict=True):
            files.append(f"{stem}.cif" if rest.get("relaxed") else "")
            if files[-1]:
                text = cif(judging.structure_of(rest["relaxed"]))
                (folder / files[-1]).write_text(text, encoding="utf-8")
        save_csv(table.assign(relaxed_file=files, note=[each.note for each in candidates]), folder / "table.csv")


def _relaxation(done: RelaxedCells, place: int, structure: Structure) -> Relaxation:
    outcome, reason = int(done.outcome[place]), done.reasons[place]
    start, energy = float(done.start_energy[place]), float(done.energy[place])
    is_there = np.isfinite(energy)
    return Relaxation(
        structure if is_there else None,
        energy if is_there else None,
        start if np.isfinite(start) else None,
        int(done.steps[place]),
        outcome == OUTCOMES.index(CONVERGED),
        reason,
    )
