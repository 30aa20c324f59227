"""Which formulas a model was trained on, in three bytes each, so that its checkpoint can tell new ones."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matgen_core.materials.formulas import Formulas

_BITS = 36  # kept of a key
_COLUMN = "key"


@dataclass(frozen=True, eq=False)
class KnownFormulas:
    """Formulas by parts of the keys of their reduced forms.

    A formula that is not among them passes for known with a chance of n / 2^36: of two million new formulas against
    319,000 known ones, nine are expected to be taken for known.

    Attributes:
        keys: (n,) uint64, sorted, each once.
    """

    keys: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def of(cls, formulas: Formulas) -> "KnownFormulas":
        """Remember formulas; multiples of one formula are the same."""
        return cls(np.unique(_parts(formulas)))

    def contains(self, formulas: Formulas) -> NDArray[np.bool_]:
        """Whether each formula is known, (N,)."""
        parts = _parts(formulas)
        places = np.minimum(np.searchsorted(self.keys, parts), max(len(self.keys) - 1, 0))
        return self.keys[places] == parts if len(self.keys) else np.zeros(len(parts), bool)

    def write(self, path: Path) -> None:
        """Write parquet; sorted numbers are stored as their small differences."""
        table = pa.table({_COLUMN: self.keys.astype(np.int64)})
        pq.write_table(
            table, path, compression="zstd", use_dictionary=False, column_encoding={_COLUMN: "DELTA_BINARY_PACKED"}
        )

    @classmethod
    def read(cls, path: Path) -> "KnownFormulas":
        """Read what `write` wrote.

        Raises:
            ValueError: If the file holds something else.
        """
        table = pq.read_table(path)
        if table.column_names != [_COLUMN]:
            raise ValueError(f"columns {', '.join(table.column_names)}; expected {_COLUMN}")
        return cls(table[_COLUMN].to_numpy().astype(np.uint64))


def _parts(formulas: Formulas) -> NDArray[np.uint64]:
    return formulas.reduced().keys() >> np.uint64(64 - _BITS)
