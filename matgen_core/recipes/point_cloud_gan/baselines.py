"""Crystals of an asked composition without a network: what a generator of them has to beat.

`templates` is the simplest thing that a chemist would do, `random` knows the volume alone, and `inflated` shows what a
test of distances is worth by itself.
"""

from collections.abc import Callable, Sequence

import numpy as np
from pymatgen.core import Structure

from matgen_core.latent.space import Decoded
from matgen_core.networks.arrays.clouds import CloudArrays
from matgen_core.recipes.point_cloud_gan.data import Counts, structures

INFLATED = 6.0  # times the volume, as reported by others
_NO_POINT = np.zeros(0, np.float32)


class Baselines:
    """Ways to make crystals of the training crystals of a point-cloud GAN."""

    def __init__(self, training: CloudArrays, anion: int) -> None:
        """Take training crystals.

        Args:
            training: Of a few elements.
            anion: Place of the element whose sites stay, of the elements.
        """
        self._elements, self._anion = training.elements, anion
        self._crystals = structures(training)
        self._counts = np.array([tuple(row) for row in training.counts.tolist()])
        self._volume = float(np.mean([each.volume / len(each) for each in self._crystals]))

    @property
    def ways(self) -> dict[str, Callable[[Sequence[Counts], int], list[Decoded]]]:
        """Each way by its name; it takes the atoms of each element in each cell, and a seed."""
        return {"templates": self.templates, "random": self.random, "inflated": self.inflated}

    def templates(self, cells: Sequence[Counts], seed: int) -> list[Decoded]:
        """Take any training crystal with as many anions and as many cations, and deal the cations out anew.

        Where there is none, the cell is a multiple that no training crystal has the sites of, and there is no crystal.
        """
        rng = np.random.default_rng(seed)
        anions, sites = self._counts[:, self._anion], self._counts.sum(1)
        made = []
        for counts in cells:
            fit = np.flatnonzero((anions == counts[self._anion]) & (sites == sum(counts)))
            if not len(fit):
                made.append(Decoded(_NO_POINT, problem="no training crystal has such sites"))
                continue
            parent = self._crystals[rng.choice(fit)]
            cations = [symbol for i, symbol in enumerate(self._elements) if i != self._anion for _ in range(counts[i])]
            dealt = iter(rng.permutation(cations).tolist())
            kept = self._elements[self._anion]
            species = [kept if site.specie.symbol == kept else next(dealt) for site in parent]
            made.append(Decoded(_NO_POINT, material=Structure(parent.lattice, species, parent.frac_coords)))
        return made

    def random(self, cells: Sequence[Counts], seed: int) -> list[Decoded]:
        """Put sites anywhere, in the shape of any training cell with the mean volume an atom."""
        return self._anywhere(cells, seed, self._volume)

    def inflated(self, cells: Sequence[Counts], seed: int) -> list[Decoded]:
        """Do the same in a cell of several times the volume."""
        return self._anywhere(cells, seed, INFLATED * self._volume)

    def _anywhere(self, cells: Sequence[Counts], seed: int, volume: float) -> list[Decoded]:
        rng = np.random.default_rng(seed)
        made = []
        for counts in cells:
            species = [symbol for symbol, n in zip(self._elements, counts, strict=True) for _ in range(n)]
            lattice = self._crystals[rng.integers(len(self._crystals))].lattice.scale(volume * len(species))
            made.append(Decoded(_NO_POINT, material=Structure(lattice, species, rng.random((len(species), 3)))))
        return made
