"""A few hydrides, what a tiny CrystalGAN knows of them, and that network, untrained."""

from functools import cache

import numpy as np
import torch
from pymatgen.core import Lattice, Structure

from matgen_core.checkpoint import Checkpoint
from matgen_core.materials.levels import CRYSTAL
from matgen_core.networks.arrays.hydrides import HydrideArrays
from matgen_core.networks.models.crystalgan import CrystalGAN, CrystalGANConfig
from matgen_core.recipes.crystalgan import hydrides
from matgen_core.recipes.crystalgan.hydrides import Known
from matgen_core.representations import PointCloud
from tests.support.crystals import of_group


def monohydride(metal: str, edge: float) -> Structure:
    return of_group("Fm-3m", Lattice.cubic(edge), [metal, "H"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def dihydride(metal: str, edge: float) -> Structure:
    return of_group("Fm-3m", Lattice.cubic(edge), [metal, "H"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def perovskite(first: str, second: str, edge: float) -> Structure:
    return of_group("Pm-3m", Lattice.cubic(edge), [first, second, "H"], [[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0]])


def ordered(first: str, second: str, edge: float) -> Structure:
    """A dihydride in which the metals stand in layers."""
    coords = [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.25]]
    cell = Lattice.tetragonal(edge / 2**0.5, edge)
    return of_group("P4/mmm", cell, [first, second, "H"], coords)


PDH, NIH, MGH2, TIH2 = monohydride("Pd", 4.1), monohydride("Ni", 3.7), dihydride("Mg", 4.77), dihydride("Ti", 4.43)
MGTIH4 = ordered("Mg", "Ti", 4.6)


@cache
def known() -> Known:
    """Six binary and four ternary hydrides, one of them held out."""
    crystals = {
        "PdH": PDH,
        "NiH": NIH,
        "MgH2": MGH2,
        "TiH2": TIH2,
        "YH2": dihydride("Y", 5.2),
        "ZrH2": dihydride("Zr", 4.8),
        "MgTiH4": MGTIH4,
        "MgZrH4": ordered("Mg", "Zr", 4.8),
        "YTiH4": ordered("Y", "Ti", 4.8),
        "MgNiH3": perovskite("Mg", "Ni", 3.7),
    }
    cells = [hydrides.reduced(each) for each in crystals.values()]
    systems = [tuple(sorted(str(e) for e in each.composition if str(e) != "H")) for each in cells]
    held_out = np.array([name == "MgTiH4" for name in crystals])
    return Known(cells, list(crystals), systems, np.zeros(len(cells)), held_out)


@cache
def arrays() -> HydrideArrays:
    return hydrides.arrays(known())


def tiny(**changes) -> CrystalGAN:
    """Networks that have learned nothing, with the tables of these hydrides."""
    torch.manual_seed(2)
    found = arrays()
    config = {
        "metals": found.metals,
        "home": ("Mg", "Ti"),
        "n_sources": len(found.home),
        "max_sites": found.frac_coords.shape[1],
        "width": 8,
        "layers": 2,
        "n_neighbors": 14,
        "n_radial": 5,
        "passes": 2,
    }
    model = CrystalGAN(CrystalGANConfig(**config | changes))
    model.know(found)
    return model.eval()


@cache
def translator() -> Checkpoint:
    model = tiny()
    layout = PointCloud((*model.config.home, "H"), model.config.slots)
    provenance = {"title": "Tiny", "system": "CrystalGAN", "level": CRYSTAL.key}
    return Checkpoint("tiny", "crystalgan", model, layout, {"headline": {}}, "card", provenance)
