"""The hydrides that CrystalGAN learns from: known binary and ternary ones, and what is known of their metals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element, Structure

from matgen_core import data
from matgen_core.data import Dataset
from matgen_core.networks.arrays.hydrides import BINARY, FRAMEWORK, TERNARY, HydrideArrays
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS, TRAIN
from matgen_core.tasks.exchange import Skeletons, like
from matgen_core.tasks.translation.frameworks import frameworks, reduced

DATASET = "mp_metal_hydrides"
MAX_SITES, MAX_METALS, MAX_HYDROGEN = 24, 8, 18
NEAR_HULL = 0.3  # eV/atom; what lies higher is no example of a hydride
PAIRS = {"Pd-Ni-H": ("Pd", "Ni"), "Mg-Ti-H": ("Mg", "Ti")}  # the paper's
HELD_OUT_SHARE = 0.1  # of the other ternary systems
N_SOURCES = 8
PROPERTIES = ("radius of the volume", "covalent radius", "electronegativity", "group", "row")
_LIKE_RADIUS, _LIKE_ELECTRONEGATIVITY = 0.06, 0.25  # relative, and Pauling's


@dataclass(frozen=True, eq=False)
class Known:
    """The known hydrides that fit, in reduced primitive cells.

    Attributes:
        structures: Crystals.
        ids: Of each.
        systems: The metals of each, sorted.
        energies: (N,) eV/atom above the hull.
        held_out: (N,) which are not learned from.
    """

    structures: list[Structure]
    ids: list[str]
    systems: list[tuple[str, ...]]
    energies: NDArray[np.float64]
    held_out: NDArray[np.bool_]

    def of(self, *metals: str) -> list[int]:
        """Rows of the hydrides of these metals and no others."""
        return [row for row, system in enumerate(self.systems) if system == tuple(sorted(metals))]


def dataset() -> Dataset:
    """Return the table of metal hydrides."""
    return data.load(DATASET)


def known(seed: int) -> Known:
    """Return the binary and ternary hydrides of the table that fit.

    Held out are all of Mg-Ti-H, and a tenth of the other ternary systems, drawn with the seed.
    """
    structures, ids, systems, energies = [], [], [], []
    for row in dataset().table.to_dict("records"):
        if not 2 <= row["nelements"] <= 3 or row["nsites"] > 2 * MAX_SITES:
            continue
        cell = reduced(data.structure(row))
        if len(cell) > MAX_SITES:
            continue
        structures.append(cell)
        ids.append(str(row["material_id"]))
        systems.append(tuple(sorted(str(each) for each in cell.composition if str(each) != "H")))
        energies.append(float(row["energy_above_hull"]))
    ternary = sorted({each for each in systems if len(each) == 2})
    rng = np.random.default_rng(seed)
    chosen = {ternary[i] for i in rng.permutation(len(ternary))[: round(HELD_OUT_SHARE * len(ternary))]}
    chosen |= {tuple(sorted(pair)) for pair in PAIRS.values()}
    return Known(structures, ids, systems, np.array(energies), np.array([each in chosen for each in systems]))


def arrays(found: Known) -> HydrideArrays:
    """Lay known hydrides and the supercells of the binary ones out for learning."""
    learned = [row for row in range(len(found.ids)) if not found.held_out[row]]
    metals = tuple(
        sorted({metal for row in learned for metal in found.systems[row]}, key=lambda each: Element(each).mendeleev_no)
    )
    volumes = Skeletons([found.structures[row] for row in learned], [found.ids[row] for row in learned]).volumes
    elements = ("H", *metals)
    volume = np.array([volumes[symbol] for symbol in elements])
    described = describe(elements, volume)
    rows: list[tuple[str, Structure, int, bool]] = []
    for row, (name, cell) in enumerate(zip(found.ids, found.structures, strict=True)):
        if not set(found.systems[row]) <= set(metals):
            continue
        near = found.energies[row] < NEAR_HULL
        if len(found.systems[row]) == 2:
            if near or found.held_out[row]:
                rows.append((name, cell, TERNARY, bool(found.held_out[row])))
        elif near:
            rows.append((name, cell, BINARY, False))
            rows += [(name, each, FRAMEWORK, False) for each in frameworks(cell, MAX_METALS, MAX_HYDROGEN, MAX_SITES)]
    place = {symbol: i for i, symbol in enumerate(elements)}
    frac_coords = torch.zeros(len(rows), MAX_SITES, 3)
    species = torch.full((len(rows), MAX_SITES), -1)
    for i, (_, cell, _, _) in enumerate(rows):
        frac_coords[i, : len(cell)] = torch.from_numpy(cell.frac_coords % 1.0)
        species[i, : len(cell)] = torch.tensor([place[site.specie.symbol] for site in cell])
    forbidden = {tuple(sorted(pair)) for pair in PAIRS.values()}
    forbidden |= {found.systems[row] for row in range(len(found.ids)) if found.held_out[row]}
    return HydrideArrays(
        metals=metals,
        ids=tuple(name for name, _, _, _ in rows),
        properties=torch.from_numpy(described),
        radii=torch.from_numpy(radii(elements)),
        volumes=torch.from_numpy(volume.astype(np.float32)),
        alike=torch.from_numpy(alike(elements, volume)),
        forbidden=torch.tensor([[place[a], place[b]] for a, b in sorted(forbidden) if a in place and b in place]),
        frac_coords=frac_coords,
        species=species,
        lattice=torch.from_numpy(np.stack([cell.lattice.matrix for _, cell, _, _ in rows]).astype(np.float32)),
        role=torch.tensor([role for _, _, role, _ in rows]),
        home=torch.tensor(home(rows)),
        part=torch.tensor([THREE_PARTS.index(TEST if held else TRAIN) for _, _, _, held in rows]),
    )


def describe(elements: tuple[str, ...], volume: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return `PROPERTIES` of elements, standardized over the metals, (n_elements, 5); hydrogen stands first."""
    table = np.array(
        [
            [np.cbrt(v), r, float(Element(s).X), float(Element(s).group), float(Element(s).row)]
            for s, v, r in zip(elements, volume, radii(elements), strict=True)
        ]
    )
    table = np.where(np.isfinite(table), table, np.nanmean(table[1:], axis=0))
    return ((table - table[1:].mean(0)) / table[1:].std(0)).astype(np.float32)


def radii(elements: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the covalent radius of each element in Å, (n_elements,)."""
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius

    return np.array([CovalentRadius.radius.get(symbol, 1.69) for symbol in elements], np.float32)


def alike(elements: tuple[str, ...], volume: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which metals may take the place of another, (n_elements, n_elements): like ones, by group, charge or size."""
    radius, negative = np.cbrt(volume), np.array([float(Element(each).X) for each in elements])
    found = np.zeros((len(elements), len(elements)), np.int64)
    for i, first in enumerate(elements[1:], start=1):
        named = like(first)
        for j, second in enumerate(elements[1:], start=1):
            near = abs(radius[i] / radius[j] - 1) < _LIKE_RADIUS
            found[i, j] = i != j and (
                second in named or (near and abs(negative[i] - negative[j]) < _LIKE_ELECTRONEGATIVITY)
            )
    return found


def home(rows: list[tuple[str, Structure, int, bool]]) -> list[int]:
    """Rows of supercells of known dihydrides of Mg and Ti, half of each: of each hydride the largest that fits."""
    found: dict[str, dict[str, int]] = {metal: {} for metal in PAIRS["Mg-Ti-H"]}
    for i, (name, cell, role, _) in enumerate(rows):
        counts: dict[str, Any] = cell.composition.get_el_amt_dict()
        metal = next(symbol for symbol in counts if symbol != "H")
        if role == FRAMEWORK and metal in found and counts[metal] in (4, 8) and counts["H"] == 2 * counts[metal]:
            found[metal].setdefault(f"{name} {counts[metal]:g}", i)  # the most compact stands first
    return [row for each in found.values() for row in list(each.values())[: N_SOURCES // 2]]
