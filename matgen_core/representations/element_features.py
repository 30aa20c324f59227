"""A phase field as the standardized Magpie features of its elements, slot by slot.

Reference: Vasylenko et al., Nat. Commun. 12, 5561 (2021), doi:10.1038/s41467-021-25343-7; features from
Ward et al., npj Comput. Mater. 2, 16028 (2016), doi:10.1038/npjcompumats.2016.28
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matgen_core.representations._errors import DecodeError


@dataclass(frozen=True, eq=False)
class ElementFeatures:
    """(n_slots, n_features) for a field of `n_slots` elements, each slot one row of `table`."""

    elements: tuple[str, ...]
    features: tuple[str, ...]
    n_slots: int
    table: NDArray[np.float32]  # (n_elements, n_features), standardized over the training fields

    @property
    def shape(self) -> tuple[int, int]:
        """Slots and features."""
        return self.n_slots, len(self.features)
