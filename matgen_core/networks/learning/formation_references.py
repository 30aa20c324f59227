"""What potentials say of known crystals: as they stand, and relaxed from there and from distorted starts.

Nothing is trained; it is the part that takes minutes on a GPU and hours without. The shifts are fitted to it in seconds
where the data are.
"""

import dataclasses
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from matgen_core.networks.arrays.cells import Cells, distorted
from matgen_core.networks.arrays.formation import HELD_OUT, FormationArrays, PotentialArrays, RelaxedArrays
from matgen_core.networks.learning.runs import write_config
from matgen_core.networks.potentials import OUTCOMES, Potential, RelaxSettings, evaluate, load_potential, relaxing

FILE, CRYSTALS = "potentials.safetensors", "crystals.safetensors"
KNOWN, DISTORTED = "known", "distorted"


@dataclass(frozen=True)
class FormationReferencesLearner:
    """Settings of a run.

    Attributes:
        potentials: Names, the quickest first: if the time is short, the last ones lack.
        seconds: Of those that are asked second alone: they evaluate, and relax nothing.
        strain: Of the distorted starts, standard deviation of each component.
        rattle: Likewise of each coordinate, in Å.
        max_force: eV/Å, end of a relaxation.
        max_steps: Likewise.
        minutes: After these nothing new is begun, and what is there is written.
        seed: Of the distorted starts.
    """

    Arrays: ClassVar[Any] = FormationArrays

    potentials: tuple[str, ...] = ("7net-0", "7net-l3i5")
    seconds: tuple[str, ...] = ("chgnet",)
    strain: float = 0.04
    rattle: float = 0.12
    max_force: float = 0.05
    max_steps: int = 300
    minutes: float = 8.5
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used."""
        return self if minutes is None else dataclasses.replace(self, minutes=minutes)

    def learn(self, arrays: FormationArrays, folder: Path, device: str) -> None:
        """Evaluate and relax, and leave `potentials.safetensors`, written anew after each part."""
        end = time.monotonic() + 60 * self.minutes
        found = PotentialArrays({}, {}, {})
        rows = arrays.rows(HELD_OUT)
        known = arrays.crystals.select(rows)
        starts = {KNOWN: known, DISTORTED: distorted(known, self.strain, self.rattle, self.seed)}
        # all of them first: a package that is missing is told at once
        potentials = {name: load_potential(name, device) for name in (*self.potentials, *self.seconds)}
        for name, potential in potentials.items():
            _warm_up(potential, known)
            begun = time.monotonic()
            found.single[name] = evaluate(potential, arrays.crystals)[0]
            self._leave(found, folder, f"{name}/single", begun, len(arrays.crystals))
            for start, crystals in starts.items() if name in self.potentials else ():
                begun = time.monotonic()
                done = self._relaxed(potential, crystals, rows, end)
                found.relaxed[f"{name}/{start}"] = done
                self._leave(found, folder, f"{name}/{start}", begun, int((done.outcome >= 0).sum()))
        arrays.save(folder / CRYSTALS)
        write_config(self, folder)

    def _leave(self, found: PotentialArrays, folder: Path, part: str, begun: float, n: int) -> None:
        seconds = time.monotonic() - begun
        found.seconds[part] = torch.tensor([seconds, n], dtype=torch.float64)
        found.save(folder / FILE)
        sys.stderr.write(f"{part}: {n:,} in {seconds:.1f} s\n")

    def _relaxed(self, potential: Potential, crystals: Cells, rows: Tensor, end: float) -> RelaxedArrays:
        settings = RelaxSettings(max_force=self.max_force, max_steps=self.max_steps)
        energy, start_energy = (torch.full((len(rows),), torch.nan, dtype=torch.float64) for _ in range(2))
        steps, outcome = torch.zeros_like(rows), torch.full_like(rows, -1)
        cells, coords = crystals.cells.clone(), list(crystals.frac_coords.split(crystals.counts.tolist()))
        work = relaxing(potential, crystals, settings)
        for place, each in work:
            energy[place], start_energy[place] = each.energy_per_atom, each.start_energy_per_atom
            steps[place], outcome[place] = each.steps, OUTCOMES.index(each.outcome)
            cells[place], coords[place] = torch.from_numpy(each.cell), torch.from_numpy(each.frac_coords)
            if time.monotonic() > end:
                work.close()
                break
        return RelaxedArrays(rows.clone(), energy, start_energy, steps, outcome, cells, torch.cat(coords))


def _warm_up(potential: Potential, crystals: Cells) -> None:
    """The first calls of a compiled network take seconds, which are no part of its rate."""
    few = crystals.select(range(min(4, len(crystals)))).to(potential.device)
    for _ in range(3):
        potential(few)
