"""Relax crystals where torch and a potential are and nothing else has to be, as on a machine with a GPU.

First `matgen validate FOLDER --prepare crystals.safetensors` where the files are, then on the other machine
`python -m matgen_core.networks.potentials --arrays crystals.safetensors --out relaxed.safetensors --device cuda`,
and with that file `matgen validate FOLDER --from relaxed.safetensors --out OUT` where the files are.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.potentials import POTENTIALS, RelaxSettings
from matgen_core.networks.potentials.remote import relaxed


def main(arguments: Sequence[str] | None = None) -> None:
    """Relax; input that cannot be used ends with one line on standard error and exit 2."""
    parser = argparse.ArgumentParser(
        prog="python -m matgen_core.networks.potentials",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--arrays", type=Path, required=True, help="what matgen validate --prepare wrote")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--potential", default="7net-l3i5", choices=list(POTENTIALS))
    parser.add_argument("--second", default="7net-0", help="asked of what was relaxed; '' for nobody")
    parser.add_argument("--device", default=tensors.best_device(), help="cpu or cuda")
    parser.add_argument("--minutes", type=float, default=1e6, help="after these no crystal is waited for")
    parser.add_argument("--max-force", type=float, default=0.05, help="eV/Å")
    parser.add_argument("--max-steps", type=int, default=300)
    given = parser.parse_args(arguments)
    try:
        crystals = tensors.load(Cells, given.arrays)
        settings = RelaxSettings(given.max_force, given.max_steps)
        begun = time.monotonic()
        done = relaxed(crystals, given.potential, given.second, given.device, given.minutes, settings)
        done.save(given.out)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        raise SystemExit(2) from error
    sys.stderr.write(f"{len(crystals):,} crystals in {time.monotonic() - begun:.1f} s; wrote {given.out}\n")


if __name__ == "__main__":
    main()
