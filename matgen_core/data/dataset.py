"""A table of materials that knows where it is from, and how to split it without leakage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import overload

import numpy as np
from pandas import DataFrame, Series

from matgen_core.data.registry import Source
from matgen_core.materials.systems import chemical_system, chemical_system_of_numbers


@dataclass(frozen=True, eq=False)
class Dataset:
    """Materials with their targets, provenance and checksum.

    Attributes:
        name: The registered or imported name; a part of a split keeps it and adds its own, "perov5/train".
        table: One row per material; `source.columns` has the units.
        source: What the registry, or the import, says of it.
        sha256: Checksum of the file that was read. It differs from `source.sha256` for people who
            fetched or imported their own copy.
    """

    name: str
    table: DataFrame
    source: Source
    sha256: str

    def __len__(self) -> int:
        return len(self.table)

    @property
    def is_registered(self) -> bool:
        """Whether the file read is, byte for byte, the registered one."""
        return self.sha256 == self.source.sha256

    def chemical_systems(self) -> Series:
        """Chemical system of each row, aligned with the table.

        Raises:
            ValueError: If a row's composition cannot be read; the line names the row.
        """
        column = self.source.composition_column
        if column not in self.table:
            raise ValueError(
                f"{self.name}: no column {column}, which gives the chemical system; "
                f"it has {', '.join(map(str, self.table.columns))}"
            )
        system = chemical_system_of_numbers if column == "numbers" else chemical_system
        values: list[str] = []
        for position, value in enumerate(self.table[column]):
            try:
                values.append(system(value))
            except ValueError as error:
                raise ValueError(f"{self.name}, row {position}, column {column}: {error}") from error
        return Series(values, index=self.table.index, name="chemical_system", dtype=object)

    @overload
    def split(self, fractions: Mapping[str, float], seed: int) -> "dict[str, Dataset]": ...

    @overload
    def split(self, fractions: Sequence[float], seed: int) -> "tuple[Dataset, ...]": ...

    def split(
        self, fractions: Mapping[str, float] | Sequence[float], seed: int
    ) -> "dict[str, Dataset] | tuple[Dataset, ...]":
        """Divide the rows so that no chemical system stands on two sides.

        The order in which systems are dealt out is a hash of the seed and the system's name. It depends
        neither on the order of the rows nor on the other systems, so a system falls on the same side in
        two data sets that are split alike (save near a cut).

        Args:
            fractions: Share of the rows of each part, named or in order; they sum to 1.
            seed: Another seed, another split.

        Returns:
            The parts, under the names or in the order of `fractions`. Each share is met as closely as
            whole chemical systems allow, and no part is empty. Rows keep their order and index.

        Raises:
            ValueError: If the fractions are not positive and of sum 1, or if there are fewer chemical
                systems than parts.
        """
        names = list(fractions) if isinstance(fractions, Mapping) else [str(i) for i in range(len(fractions))]
        shares = np.array(list(fractions.values() if isinstance(fractions, Mapping) else fractions), float)
        if not shares.size or not np.all(shares > 0) or abs(shares.sum() - 1) > 1e-9:
            raise ValueError(f"fractions {shares.tolist()}: expected positive numbers of sum 1, as 0.8, 0.1, 0.1")
        systems = self.chemical_systems()
        sizes = systems.value_counts()
        order = sorted(sizes.index, key=lambda system: _key(seed, system))
        if len(order) < len(names):
            raise ValueError(f"{self.name}: {len(order)} chemical systems cannot fill {len(names)} parts")
        part = dict(zip(order, _deal(sizes.loc[order].to_numpy(), shares), strict=True))
        of_row = systems.map(part).to_numpy()
        parts = [
            replace(self, name=f"{self.name}/{name}", table=self.table[of_row == number])
            for number, name in enumerate(names)
        ]
        return dict(zip(names, parts, strict=True)) if isinstance(fractions, Mapping) else tuple(parts)


def _key(seed: int, system: str) -> bytes:
    return blake2b(f"{seed}:{system}".encode(), digest_size=16).digest()


def _deal(sizes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Part number of each group: cuts between groups, each as near as possible to its cumulative share."""
    rows_before = np.concatenate([[0], np.cumsum(sizes)])
    cuts = [0]
    for number, target in enumerate(np.cumsum(shares)[:-1] * rows_before[-1], start=1):
        nearest = int(np.abs(rows_before - target).argmin())
        # Every part gets at least one group: this one, and each of those still to come.
        cuts.append(min(max(nearest, cuts[-1] + 1), len(sizes) - (len(shares) - number)))
    cuts.append(len(sizes))
    return np.repeat(np.arange(len(shares)), np.diff(cuts))
