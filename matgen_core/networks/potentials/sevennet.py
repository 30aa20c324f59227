"""SevenNet as a function of batches of crystals: one flat graph, no loop over structures.

The checkpoints are those inside the installed package `sevenn` (MIT). References: Park et al., J. Chem. Theory Comput.
20, 4857 (2024), doi:10.1021/acs.jctc.4c00190; Batzner et al., Nat. Commun. 13, 2453 (2022),
doi:10.1038/s41467-022-29939-5
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct

from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.potentials.evaluation import Evaluation, lonely
from matgen_core.networks.potentials.neighbors import neighbors

# Names with paths in sevenn._const, and how many pairs fit into a batch on a GPU of 80 GB (0.33 MB a pair for
# 7net-l3i5). On a CPU batches of more than a few dozen atoms bring nothing.
SEVENNETS = {"7net-0": ("SEVENNET_0_11Jul2024", 200_000), "7net-l3i5": ("SEVENNET_l3i5", 110_000)}
_ON_CPU = 2_000
# What the package's files hold beside tensors: arrays, under the name that older versions of numpy gave them.
_ARRAYS: list[Any] = [
    (_reconstruct, "numpy.core.multiarray._reconstruct"),
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int64)),
]
_ONLY_WEIGHTS = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_ORDER = torch.tensor([[0, 3, 5], [3, 1, 4], [5, 4, 2]])  # SevenNet lists stresses xx yy zz xy yz zx


class SevenNet:
    """A checkpoint of the package `sevenn`, ready to evaluate."""

    def __init__(self, name: str, device: str) -> None:
        """Load weights from the installed package.

        Raises:
            ValueError: If its file holds more than weights.
            OSError: If the file cannot be read.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is old, and that no accelerator is installed
            import sevenn._keys as keys  # takes seconds
            from sevenn import _const
            from sevenn.checkpoint import SevenNetCheckpoint

            # By its path: by its name, sevenn would take a file of that name in the folder one stands in, or fetch it.
            path = getattr(_const, SEVENNETS[name][0])
            try:
                with _weights_alone():
                    model: Any = SevenNetCheckpoint(path).build_model()
            except OSError:
                raise
            except Exception as error:  # torch refuses what is no weight in several ways
                raise ValueError(f"{path} holds more than weights and is not read; install sevenn anew") from error
        model.to(device).eval().requires_grad_(False)
        model.set_is_batch_data(True)
        model.eval_type_map = torch.tensor(True)  # atomic numbers come in, places in its list of elements are made
        self._model, self._keys = model, keys
        self.name, self.device = name, torch.device(device)
        self.cutoff = float(model.cutoff)
        self.elements = frozenset(int(number) for number in model.type_map)
        self.edges_at_once = SEVENNETS[name][1] if device == "cuda" else _ON_CPU

    def __call__(self, crystals: Cells) -> Evaluation:
        """Evaluate crystals on its device; the network computes in float32, pairs are found in float64."""
        keys = self._keys
        pairs = neighbors(crystals, self.cutoff)
        graph = {
            "x": crystals.numbers,
            keys.ATOMIC_NUMBERS: crystals.numbers,
            keys.NODE_ATTR: crystals.numbers,
            keys.POS: crystals.positions.float(),
            keys.EDGE_IDX: torch.stack([pairs.sources, pairs.targets]),
            keys.EDGE_VEC: pairs.vectors.float(),
            keys.CELL: crystals.cells.float(),
            keys.CELL_SHIFT: pairs.shifts.float(),
            keys.CELL_VOLUME: crystals.volumes.float(),
            keys.NUM_ATOMS: crystals.counts,
            keys.BATCH: crystals.owners,
        }
        found = self._model(graph)
        return Evaluation(
            found[keys.PRED_TOTAL_ENERGY].detach().reshape(-1),
            found[keys.PRED_FORCE].detach(),
            -found[keys.PRED_STRESS].detach()[:, _ORDER.to(self.device)],
            lonely(crystals, pairs.sources),
        )


@contextmanager
def _weights_alone() -> Iterator[None]:
    """Let torch read tensors and arrays and nothing that runs code, although sevenn asks for all that a pickle can."""
    before = os.environ.get(_ONLY_WEIGHTS)
    os.environ[_ONLY_WEIGHTS] = "1"
    try:
        with torch.serialization.safe_globals(_ARRAYS):
            yield
    finally:
        os.environ.pop(_ONLY_WEIGHTS) if before is None else os.environ.update({_ONLY_WEIGHTS: before})
