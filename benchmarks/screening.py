"""Screen formulas with SMACT and with ours in one run, and screen what a generator writes.

Both are asked for SMACT's validity of the same 100,000 formulas, half of them real (OQMD) and half random, under both
alloy rules; SMACT in one process a core, ours in one thread a core. Where an element has no oxidation states or no
electronegativity, SMACT answers False or leaves the test out, and ours is undecided: such formulas are counted apart.

    python -m benchmarks.screening [CHECKPOINT] [N]

With the name of a checkpoint that writes formulas, N of its samples (2,000,000 if not said) are generated, told apart,
screened and written to parquet.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from smact.screening import smact_validity

from benchmarks.report import publish, table
from matgen_core import checkpoint, data
from matgen_core.checks import COMPOSITION_RULES, screen_formulas, smact_rule
from matgen_core.jobs.files.tables import ParquetFolder
from matgen_core.materials.elements import element_table
from matgen_core.materials.formulas import Formulas
from matgen_core.tasks import funnel

N_REAL = N_RANDOM = 50_000
N_CORES = os.cpu_count() or 1


def timed(call: Any) -> tuple[float, Any]:
    """Run once; return seconds and the result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def random_formulas(n: int, seed: int) -> list[str]:
    """Formulas of 1 to 5 elements, H to Pu, with counts from 1 to 8."""
    rng = np.random.default_rng(seed)
    symbols = np.array(list(element_table())[:94])
    return [
        "".join(
            f"{symbol}{count}"
            for symbol, count in zip(rng.choice(symbols, k, False), rng.integers(1, 9, k), strict=True)
        )
        for k in rng.integers(1, 6, n)
    ]


def compare() -> None:
    """Write formulas/s of both, their ratio, and on how many formulas they differ."""
    real = data.load("oqmd_compositions").table["formula"].sample(N_REAL, random_state=0).to_list()
    texts = real + random_formulas(N_RANDOM, seed=0)
    formulas, problems = Formulas.of_texts(texts)
    assert not any(problems)
    written = list(formulas.texts())
    screen_formulas(formulas[:10], [smact_rule("icsd24"), smact_rule("smact14")])  # compiled
    rows = []
    with ProcessPoolExecutor(N_CORES) as pool:
        list(pool.map(smact_validity, written[: 100 * N_CORES], chunksize=100))
        for include_alloys in (True, False):
            rule = smact_rule("icsd24", include_alloys)
            ask = partial(smact_validity, include_alloys=include_alloys)
            theirs_s, theirs = timed(lambda ask=ask: np.array(list(pool.map(ask, written, chunksize=1_000)), bool))
            ours_s, (verdicts,) = timed(lambda rule=rule: screen_formulas(formulas, [rule]))
            decided = verdicts.answers >= 0
            rows.append(
                (
                    "pass" if include_alloys else "are judged",
                    len(texts) / theirs_s,
                    len(texts) / ours_s,
                    int(((verdicts.answers == 1) != theirs)[decided].sum()),
                    int((~theirs[~decided]).sum()),
                )
            )
    report(rows)


def report(rows: Sequence[tuple[str, float, float, int, int]]) -> None:
    """Write the section on screening: alloys, formulas/s of both, disagreements, undecided but False in SMACT."""
    publish(
        "screening",
        f"{N_REAL:,} formulas of the OQMD and {N_RANDOM:,} random ones through SMACT's validity test and through ours"
        f" on {N_CORES} cores, oxidation states icsd24:",
        table(
            [
                "metals alone",
                "SMACT, formulas/s",
                "ours, formulas/s",
                "ratio",
                "disagreements",
                "undecided here, False in SMACT",
            ],
            [
                (alloys, f"{theirs:,.0f}", f"{ours:,.0f}", f"{ours / theirs:,.0f}", *(f"{n:,}" for n in counts))
                for alloys, theirs, ours, *counts in rows
            ],
        ),
    )


def write_samples(name: str, n: int) -> tuple[float, float, Mapping[str, int]]:
    """Generate and screen in this process; return seconds, peak memory in GB and the counts of the stages."""
    generator = checkpoint.load(name)
    screen_formulas(Formulas.of_texts(["NaCl"])[0], COMPOSITION_RULES)  # compiled
    counts: Mapping[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        written = ParquetFolder(Path(folder) / "samples")
        start = time.perf_counter()
        for chunk in funnel.run(generator, funnel.Request(n)):
            written.write(chunk.rows)
            counts = chunk.counts
        seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, counts


def whole_funnel(name: str, n: int) -> None:
    """Tell how long a generator's samples take, in a process of their own, and how much memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        seconds, memory, counts = pool.submit(write_samples, name, n).result()
    report_funnel(name, n, seconds, memory, counts)


def report_funnel(name: str, n: int, seconds: float, memory: float, counts: Mapping[str, int]) -> None:
    """Write the section on the funnel."""
    publish(
        "funnel",
        f"{n:,} samples of `{name}` were generated, told apart, screened and written to parquet in {seconds:.0f} s with"
        f" at most {memory:.2f} GB of memory: {', '.join(f'{stage} {count:,}' for stage, count in counts.items())}.",
    )


if __name__ == "__main__":
    compare()
    if len(sys.argv) > 1:
        whole_funnel(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2_000_000)
