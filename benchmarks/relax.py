"""Relaxations a second: ours on all cores beside ASE with CHGNet and with SevenNet, one crystal after the other.

    .venv/bin/python -m benchmarks.relax                     on the CPU, all three in one run
    .venv/bin/python -m benchmarks.relax --prepare FILE      crystals for a machine with a GPU
    python -m benchmarks.relax --gpu FILE --out RATE.json    there, where torch, numpy, safetensors and sevenn will do
    .venv/bin/python -m benchmarks.relax --add RATE.json     what it found into docs/speed.md

The starts are known crystals of 8 to 12 atoms, strained and rattled as generated ones are. ASE runs FIRE with
FrechetCellFilter, on as many threads as torch takes by itself; ours runs a process a core, one thread each. Loading and
the first calls are no part of a rate, for nobody.
"""

import argparse
import contextlib
import io
import json
import os
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.report import publish, table
from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.cells import Cells, distorted
from matgen_core.networks.potentials import RelaxSettings, load_potential, relax

N_CPU, N_GPU = 12, 1_000
SITES = (8, 12)
STRAIN, RATTLE, SEED = 0.04, 0.12, 0
MAX_FORCE, MAX_STEPS = 0.1, 200
OURS, CHGNET, SEVEN = "ours, 7net-0", "ASE, CHGNet", "ASE, 7net-0"
Sites = list[tuple[Any, Any, Any]]
Found = tuple[float, list[float], list[int]]  # seconds, eV/atom and steps of each


def starts(n: int) -> Cells:
    """Return known crystals near the hull, strained and rattled."""
    from matgen_core import data
    from matgen_core.recipes.formation_references.data import STRUCTURES, cells_of

    rows = data.load(STRUCTURES).table
    rows = rows[rows["nsites"].between(*SITES) & (rows["energy_above_hull_2018"] < 0.1)]
    return distorted(cells_of(rows.sample(n, random_state=SEED)), STRAIN, RATTLE, SEED)


def ours(sites: Sites) -> Found:
    """Relax crystals in one batch, on one thread."""
    torch.set_num_threads(1)
    potential, crystals = load_potential("7net-0"), Cells.of(sites)
    for _ in range(3):  # the first calls compile
        potential(crystals.select([0]))
    begun = time.perf_counter()
    done = relax(potential, crystals, RelaxSettings(MAX_FORCE, MAX_STEPS))
    return time.perf_counter() - begun, [each.energy_per_atom for each in done], [each.steps for each in done]


def by_ase(kind: str, sites: Sites) -> Found:
    """Relax crystals one by one, on as many threads as torch takes by itself."""
    from ase import Atoms
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    torch.set_num_threads(os.cpu_count() or 1)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        calculator = _calculator(kind)
        crystals = [Atoms(numbers, cell=cell, scaled_positions=coords, pbc=True) for numbers, cell, coords in sites]
        for atoms in crystals:
            atoms.calc = calculator
        first = crystals[0].copy()
        first.calc = calculator
        for step in range(3):
            first.rattle(1e-4, seed=step)
            first.get_forces()
        seconds, steps = 0.0, []
        for atoms in crystals:
            begun = time.perf_counter()
            optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
            optimizer.run(fmax=MAX_FORCE, steps=MAX_STEPS)
            seconds += time.perf_counter() - begun
            steps.append(optimizer.nsteps)
        return seconds, [atoms.get_potential_energy() / len(atoms) for atoms in crystals], steps


def _calculator(kind: str) -> Any:
    if kind == CHGNET:
        from chgnet.model.dynamics import CHGNetCalculator

        return CHGNetCalculator(use_device="cpu")
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator("7net-0", device="cpu")


def on_cpu() -> None:
    """Write the section of the CPU: each kind in processes of its own, one kind after the other."""
    cores = os.cpu_count() or 1
    sites = starts(N_CPU).sites()
    found: dict[str, Found] = {}
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        # The largest are dealt out first, so that no core is left alone with them.
        order = sorted(range(len(sites)), key=lambda place: -len(sites[place][0]))
        shares = [order[core::cores] for core in range(cores)]
        parts = list(pool.map(ours, [[sites[place] for place in share] for share in shares]))
    energies, steps = np.empty(len(sites)), np.empty(len(sites), int)
    for share, (_, of_share, steps_of_share) in zip(shares, parts, strict=True):
        energies[share], steps[share] = of_share, steps_of_share
    found[OURS] = (max(seconds for seconds, _, _ in parts), energies.tolist(), steps.tolist())
    for kind in (CHGNET, SEVEN):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            found[kind] = pool.submit(by_ase, kind, sites).result()
    rates = {kind: len(sites) / seconds for kind, (seconds, _, _) in found.items()}
    apart = np.abs(energies - np.array(found[SEVEN][1]))
    publish(
        "relaxing",
        f"{len(sites)} known crystals of {SITES[0]} to {SITES[1]} atoms, strained and rattled, relaxed with their cells"
        f" to {MAX_FORCE:g} eV/Å or {MAX_STEPS} steps, on {cores} cores:",
        table(
            ["", "crystals/s", "steps, mean", "ours against it"],
            [
                [
                    kind,
                    f"{rate:.2f}",
                    f"{np.mean(found[kind][2]):.0f}",
                    "" if kind == OURS else f"{rates[OURS] / rate:.1f}",
                ]
                for kind, rate in rates.items()
            ],
        ),
        f"Ours ends at the energies of ASE with the same potential: {1000 * np.nanmedian(apart):.2f} meV/atom apart in"
        f" the median, {1000 * np.nanmax(apart):.1f} at most.",
    )


def on_gpu(arrays: Path, out: Path) -> None:
    """Relax crystals on a GPU by our code alone, and write what it took."""
    crystals = tensors.load(Cells, arrays)
    found = {"device": torch.cuda.get_device_name(), "n": len(crystals), "seconds": {}, "converged": {}}
    for name in ("7net-0", "7net-l3i5"):
        potential = load_potential(name, "cuda")
        relax(potential, crystals.select(range(min(8, len(crystals)))), RelaxSettings(MAX_FORCE, 5))
        torch.cuda.synchronize()
        begun = time.perf_counter()
        done = relax(potential, crystals, RelaxSettings(MAX_FORCE, MAX_STEPS))
        found["seconds"][name] = time.perf_counter() - begun
        found["converged"][name] = float(np.mean([each.converged for each in done]))
        print(f"{name}: {len(crystals):,} in {found['seconds'][name]:.1f} s, {found['converged'][name]:.1%} at rest")
        out.write_text(json.dumps(found))


def add(path: Path) -> None:
    """Write the section of the GPU."""
    found = json.loads(path.read_text())
    publish(
        "relaxing on a GPU",
        f"{found['n']:,} such crystals on one {found['device']}, by ours alone:",
        table(
            ["", "seconds", "crystals/s", "at rest"],
            [
                [name, f"{each:.1f}", f"{found['n'] / each:.1f}", f"{found['converged'][name]:.1%}"]
                for name, each in found["seconds"].items()
            ],
        ),
    )


def main() -> None:
    """Do one of the four."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.relax")
    one = asked.add_mutually_exclusive_group()
    one.add_argument("--prepare", type=Path, metavar="FILE", help="write the crystals for a GPU")
    one.add_argument("--gpu", type=Path, metavar="FILE", help="relax these on a GPU; with --out")
    one.add_argument("--add", type=Path, metavar="FILE", help="write the section of the GPU from what --out wrote")
    asked.add_argument("--out", type=Path, metavar="FILE")
    given = asked.parse_args()
    if given.gpu is not None and given.out is None:
        asked.error("--gpu goes with --out FILE")
    if given.prepare:
        tensors.save(starts(N_GPU), given.prepare)
    elif given.gpu:
        on_gpu(given.gpu, given.out)
    elif given.add:
        add(given.add)
    else:
        on_cpu()


if __name__ == "__main__":
    main()
