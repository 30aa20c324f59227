"""Crystals relaxed on another machine, and what it sends back."""

import hashlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.potentials.evaluation import evaluate
from matgen_core.networks.potentials.loading import load_potential
from matgen_core.networks.potentials.relaxation import OUTCOMES, RelaxSettings, relaxing

NOT_REACHED = -1  # the outcome of a crystal whose turn did not come
_WAITED = "its turn did not come"
_ASKED_TOGETHER = 256  # crystals of which the second potential is asked at once


@dataclass(frozen=True, eq=False)
class RelaxedCells(tensors.Stored):
    """What became of crystals, in their order.

    Attributes:
        given: `fingerprint` of the crystals as they were given.
        potentials: The one that relaxed them, and the one that was asked of what came out, "" for none.
        max_force: eV/Å, the bound of the relaxation.
        max_steps: Likewise.
        energy: (S,) eV/atom; NaN where there is none.
        start_energy: (S,) eV/atom, before.
        second_energy: (S,) eV/atom of the relaxed crystal by the second potential; NaN where it was not asked.
        steps: (S,).
        outcome: (S,), place in `OUTCOMES`, or `NOT_REACHED`.
        reasons: Of each, in plain words.
        cells: The crystals, relaxed; as they were given where they could not be.
    """

    given: str
    potentials: tuple[str, str]
    max_force: float
    max_steps: int
    energy: Tensor
    start_energy: Tensor
    second_energy: Tensor
    steps: Tensor
    outcome: Tensor
    reasons: tuple[str, ...]
    cells: Cells

    @classmethod
    def load(cls, path: Path) -> "RelaxedCells":
        """Read what `save` wrote.

        Raises:
            ValueError: If the file holds something else, or is broken.
        """
        found = tensors.load(cls, path)
        columns = (found.energy, found.start_energy, found.second_energy, found.steps, found.outcome, found.reasons)
        known = bool(((found.outcome >= NOT_REACHED) & (found.outcome < len(OUTCOMES))).all())
        if {len(each) for each in columns} != {len(found.cells)} or not known:
            raise ValueError(f"{path} is broken: its columns do not fit each other; relax the crystals anew")
        return found


def fingerprint(crystals: Cells) -> str:
    """Return what tells some crystals from others: a hash of elements, cells and coordinates, bit by bit."""
    parts = (crystals.counts, crystals.numbers, crystals.cells, crystals.frac_coords)
    return hashlib.sha256(b"".join(part.contiguous().numpy().tobytes() for part in parts)).hexdigest()


def relaxed(
    crystals: Cells, name: str, second: str, device: str, minutes: float, settings: RelaxSettings
) -> RelaxedCells:
    """Relax crystals and ask a second potential of what came out.

    Args:
        crystals: Any.
        name: Of the potential.
        second: Of the other one; "" for none.
        device: cpu or cuda.
        minutes: After these no crystal is waited for.
        settings: Bounds of a relaxation.
    """
    end = time.monotonic() + 60 * minutes
    potential = load_potential(name, device)
    n = len(crystals)
    energy, start_energy = (torch.full((n,), torch.nan, dtype=torch.float64) for _ in range(2))
    steps, outcome = torch.zeros(n, dtype=torch.int64), torch.full((n,), NOT_REACHED, dtype=torch.int64)
    reasons = [_WAITED] * n
    cells, coords = crystals.cells.clone(), list(crystals.frac_coords.split(crystals.counts.tolist()))
    second_energy = torch.full((n,), torch.nan, dtype=torch.float64)
    judge = load_potential(second, device) if second else None
    waiting: list[int] = []  # relaxed, and the second potential has not been asked yet

    def ask(rows: list[int]) -> None:
        if judge is None or not rows:
            return
        numbers = crystals.select(rows).numbers
        sites = Cells(numbers, torch.cat([coords[row] for row in rows]), cells[rows], crystals.counts[rows])
        second_energy[rows] = evaluate(judge, sites)[0].double().cpu()

    work = relaxing(potential, crystals, settings)
    for n_done, (place, each) in enumerate(work, start=1):
        energy[place], start_energy[place] = each.energy_per_atom, each.start_energy_per_atom
        steps[place], outcome[place], reasons[place] = each.steps, OUTCOMES.index(each.outcome), each.reason
        cells[place], coords[place] = torch.from_numpy(each.cell), torch.from_numpy(each.frac_coords)
        waiting += [place] if each.energy_per_atom == each.energy_per_atom else []
        if len(waiting) >= _ASKED_TOGETHER:  # as they come, so that a limit of time leaves none without
            ask(waiting)
            waiting = []
        if n_done % 200 == 0:
            sys.stderr.write(f"{n_done:,} of {n:,}\n")
        if time.monotonic() > end:
            work.close()
            break
    ask(waiting)
    made = Cells(crystals.numbers, torch.cat(coords), cells, crystals.counts)
    return RelaxedCells(
        fingerprint(crystals),
        (name, second),
        settings.max_force,
        settings.max_steps,
        energy,
        start_energy,
        second_energy,
        steps,
        outcome,
        tuple(reasons),
        made,
    )
