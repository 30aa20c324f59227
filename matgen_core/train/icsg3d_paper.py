"""The published iCSG3D as a baseline: what its training needs on a bare GPU machine.

python -m matgen_core.train.icsg3d_paper cubic --out folder

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pymatgen.core import Element

from matgen_core.boxed_crystals import Elements
from matgen_core.crystals import CrystalArrays
from matgen_core.models.icsg3d_paper import ICSG3DPaperConfig
from matgen_core.representations import PaddedVoxels
from matgen_core.representations.padded_voxels import element_radii
from matgen_core.train.cubic import load_or_prepare


def boxes(arrays: CrystalArrays, conventional: bool, grid: int = ICSG3DPaperConfig.grid) -> PaddedVoxels:
    """Return the array layout of the networks that are trained on these crystals."""
    return PaddedVoxels(
        elements=arrays.elements,
        numbers=np.array([Element(symbol).Z for symbol in arrays.elements], np.float32),
        radii=element_radii(arrays.elements),
        grid=grid,
        max_sites=int(arrays.species.shape[1]),
        setting="cubic" if conventional else "cubic_cell",
    )


def elements_of(layout: PaddedVoxels) -> Elements:
    """Return what training draws of each element: the same as the layout."""
    return Elements(torch.from_numpy(layout.numbers), torch.from_numpy(layout.radii))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the arrays of the crystals, and beside them what the boxes show of the elements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arrays", choices=("cubic", "perov5"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    arrays = load_or_prepare(given.arrays, given.out, lambda line: print(line, file=sys.stderr))
    layout = boxes(arrays, conventional=given.arrays == "cubic")
    elements_of(layout).save(given.out / f"{given.arrays}-elements.safetensors")


if __name__ == "__main__":
    main()
