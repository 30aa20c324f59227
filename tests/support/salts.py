"""A latent space of salts in which every answer is known."""

import numpy as np
import pandas as pd
import torch
from pymatgen.core import Lattice, Structure

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.building import with_points
from matgen_core.latent.map import LatentMap
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.representations import DecodeError
from matgen_core.tasks import journeys

CATIONS, ANIONS = ("Li", "Na", "K"), ("F", "Cl", "Br")
CRYSTALS = {"level": CRYSTAL.key}  # what these models work on


class Halving(torch.nn.Module):
    """Encodes x to x / 2 and back."""

    latent_dim = 3

    def encode(self, x):
        return Gaussian(x / 2, torch.zeros_like(x))

    def decode(self, z):
        return 2 * z


class Salts:
    """A cesium chloride cell as edge in Å, cation, anion; elements are read from the nearest whole number."""

    shape = (3,)

    def encode(self, material):
        return self.draw(self.standardize(material))

    def draw(self, material):
        symbols = [site.specie.symbol for site in material]
        if symbols[0] not in CATIONS:
            raise ValueError(f"{symbols[0]} is no cation of this model")
        return np.array([material.lattice.a, CATIONS.index(symbols[0]), ANIONS.index(symbols[1])], np.float32)

    def decode(self, array):
        edge, cation, anion = array
        if edge > 9:
            raise DecodeError(f"an edge of {edge:.1f} Å")
        symbols = ["Cs" if cation > 2.5 else CATIONS[max(round(float(cation)), 0)], ANIONS[round(float(anion)) % 3]]
        return Structure(Lattice.cubic(float(edge)), symbols, [[0, 0, 0], [0.5, 0.5, 0.5]])

    def standardize(self, material):
        return material


def salts() -> LatentMap:
    """Nine salts on a grid, their edges 4 to 5 Å; latent points are half of edge, cation, anion."""
    rows = [
        {"id": f"s{3 * i + j}", "formula": f"{cation}{anion}", "z": (2 + 0.25 * (i + j) / 2, i / 2, j / 2)}
        for i, cation in enumerate(CATIONS)
        for j, anion in enumerate(ANIONS)
    ]
    z = np.array([row.pop("z") for row in rows], np.float32)
    index = with_points(pd.DataFrame(rows), z)
    return LatentMap(Checkpoint("salts", "halving", Halving(), Salts(), {}, "", CRYSTALS, index=index))  # type: ignore[arg-type]


def places(space: LatentMap, *keys: str) -> list[journeys.Waypoint]:
    return [journeys.waypoint(space, key) for key in keys]


def light(step: journeys.Step, name: str) -> journeys.Light:
    return next(each for each in step.lights if each.name == name)
