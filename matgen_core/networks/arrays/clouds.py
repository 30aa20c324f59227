"""Crystals as a cell and sites in slots, for networks: arrays of them, and distances across periodic cells."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.cells import lattice_from_parameters, lattice_parameters
from matgen_core.networks.arrays.splits import THREE_PARTS

# What `PointCloud` writes.
CELL_ROWS = 2  # lengths and angles stand above the sites
LONGEST, WIDEST = 30.0, 180.0  # Å and degrees that are 1 in an array
SQUEEZED = 2 / 3  # share of 0 to 1 that coordinates take, about the middle

_SMALL = tensors.stored_as(torch.int8)
# The cell itself and the 26 around it: every image within some 4 Å in a reduced cell.
_IMAGES = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 3)


@dataclass(frozen=True, eq=False)
class CloudArrays(tensors.Stored):
    """Crystals in reduced cells, their sites in the slots of their elements.

    Attributes:
        elements: Symbols.
        numbers: Atomic numbers of the elements.
        slots: Most atoms of each in a cell.
        ids: One a crystal.
        frac_coords: (N, sum of slots, 3), 0 in empty slots; the sites of an element fill its first slots.
        counts: (N, n_elements), atoms of each element.
        lattice: (N, 3, 3), rows are the vectors in Å.
        weight: (N,), how often a crystal is drawn; relative.
        part: (N,), place in `THREE_PARTS`.
        asked: (n_asked, n_elements), atoms in the cells that are drawn to be judged once all is learned.
    """

    elements: tuple[str, ...]
    numbers: tuple[int, ...]
    slots: tuple[int, ...]
    ids: tuple[str, ...]
    frac_coords: Tensor
    counts: Tensor = field(metadata=_SMALL)
    lattice: Tensor
    weight: Tensor
    part: Tensor = field(metadata=_SMALL)
    asked: Tensor = field(metadata=_SMALL)

    def __len__(self) -> int:
        return len(self.lattice)

    def select(self, rows: Tensor) -> "CloudArrays":
        """Return the crystals of some rows (numbers or a mask), in their order."""
        return tensors.select(self, rows, shared=("elements", "numbers", "slots", "asked"))

    def of_part(self, part: str) -> "CloudArrays":
        """Return the crystals of "train", "val" or "test"."""
        return self.select(self.part == THREE_PARTS.index(part))


@dataclass(frozen=True, eq=False)
class CloudBatch:
    """Crystals with their slots cut down to those that any of them fills.

    Attributes:
        counts: (B, n_elements).
        slot: Which slot each site has, (B, n); -1 where there is none.
        frac_coords: (B, n, 3).
        lattice: (B, 3, 3) in Å.
    """

    counts: Tensor
    slot: Tensor
    frac_coords: Tensor
    lattice: Tensor

    def __len__(self) -> int:
        return len(self.counts)


def joined(*batches: CloudBatch) -> CloudBatch:
    """Put crystals behind each other; all batches have as many places for sites."""
    names = CloudBatch.__dataclass_fields__
    return CloudBatch(*(torch.cat([getattr(each, name) for each in batches]) for name in names))


def slots_of(there: Tensor, most: int | None = None) -> Tensor:
    """Numbers of the slots that hold a site, (B, n); -1 behind the last of each crystal.

    Args:
        there: Which slots hold a site, (B, sum of slots).
        most: n, as large as the largest crystal or larger; it is looked up if it is not given.
    """
    order = torch.argsort((~there).byte(), dim=1, stable=True)
    n = int(there.sum(1).max()) if most is None else most
    return torch.where(there.gather(1, order), order, -1)[:, :n]


def batch(arrays: CloudArrays, rows: Tensor, most: int | None = None) -> CloudBatch:
    """Return some crystals as networks take them; `most` as for `slots_of`."""
    counts = arrays.counts[rows]
    slot = slots_of(occupied(counts, arrays.slots), most)
    return CloudBatch(counts, slot, _of_slots(arrays.frac_coords[rows], slot), arrays.lattice[rows])


def read(points: Tensor, slots: tuple[int, ...]) -> CloudBatch:
    """Read point clouds (B, 2 + sum of slots, 3), whichever of their slots are filled."""
    frac_coords, there, lattice = from_points(points)
    elements = slot_elements(slots).to(points.device)
    counts = torch.stack([(there & (elements == i)).sum(1) for i in range(len(slots))], 1)
    slot = slots_of(there)
    return CloudBatch(counts, slot, _of_slots(frac_coords, slot), lattice)


def _of_slots(values: Tensor, slot: Tensor) -> Tensor:
    return values.gather(1, slot.clamp(min=0).unsqueeze(-1).expand(-1, -1, values.shape[-1]))


def slot_elements(slots: tuple[int, ...]) -> Tensor:
    """Place of each slot's element, (sum of slots,)."""
    return torch.repeat_interleave(torch.arange(len(slots)), torch.tensor(slots))


def occupied(counts: Tensor, slots: tuple[int, ...]) -> Tensor:
    """Which slots hold a site in cells with counts (B, n_elements) of atoms, (B, sum of slots)."""
    place = torch.cat([torch.arange(n, device=counts.device) for n in slots])
    return place < counts[:, slot_elements(slots).to(counts.device)]


def to_points(frac_coords: Tensor, there: Tensor, lattice: Tensor) -> Tensor:
    """Write crystals as `PointCloud` does, (B, 2 + n, 3).

    Args:
        frac_coords: (B, n, 3).
        there: Which slots hold a site, (B, n).
        lattice: (B, 3, 3) in Å.
    """
    parameters = lattice_parameters(lattice)
    lengths = parameters[:, :3] / LONGEST
    angles = parameters[:, 3:].clamp(-1 + 1e-6, 1 - 1e-6).arccos().rad2deg() / WIDEST
    sites = (SQUEEZED * (frac_coords.remainder(1.0) - 0.5) + 0.5) * there.unsqueeze(-1)
    return torch.cat([torch.stack([lengths, angles], 1), sites], 1)


def from_points(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Read arrays (B, 2 + n, 3): coordinates (B, n, 3), which slots hold a site (B, n), lattices (B, 3, 3) in Å."""
    cosines = (points[:, 1] * WIDEST).deg2rad().cos()
    lattice = lattice_from_parameters(torch.cat([points[:, 0] * LONGEST, cosines], 1))
    rows = points[:, CELL_ROWS:]
    return (rows - 0.5) / SQUEEZED + 0.5, rows.sum(-1) > 0.4, lattice


def volume_of(lattice: Tensor) -> Tensor:
    """Volumes of cells (B, 3, 3) in Å^3, (B,)."""
    return (lattice[:, 0] * torch.linalg.cross(lattice[:, 1], lattice[:, 2])).sum(1).abs()


def inverse_of(lattice: Tensor) -> Tensor:
    """Inverses of cells (B, 3, 3), by which Cartesian rows become fractional ones; a GPU need not wait for checks."""
    a, b, c = lattice.unbind(1)
    columns = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], 2)
    return columns / (a * columns[:, :, 0]).sum(1)[:, None, None]


def image_vectors(frac_coords: Tensor, lattice: Tensor) -> Tensor:
    """Vectors from each site to the 27 nearest images of each, (B, n, n, 27, 3) in Å; from row to column.

    Args:
        frac_coords: (B, n, 3).
        lattice: (B, 3, 3) in Å, of reduced cells: of others the nearest image may be farther away than 27 go.
    """
    between = frac_coords.unsqueeze(1) - frac_coords.unsqueeze(2)
    between = between - between.detach().round()
    images = _IMAGES.to(frac_coords) @ lattice  # (B, 27, 3)
    return (between.flatten(1, 2) @ lattice).unflatten(1, between.shape[1:3]).unsqueeze(3) + images[:, None, None]


def image_squares(frac_coords: Tensor, there: Tensor, lattice: Tensor) -> Tensor:
    """Squared distances from each site to the images of each in Å^2, (B, n, n, 27); arguments as in `to_points`.

    Infinite from a site to itself, and where a slot is empty.
    """
    squares = image_vectors(frac_coords, lattice).square().sum(-1)
    here = torch.eye(frac_coords.shape[1], dtype=torch.bool, device=squares.device).unsqueeze(-1)
    itself = here & (_IMAGES == 0).all(1).to(squares.device)
    pairs = there.unsqueeze(1) & there.unsqueeze(2)
    return squares.masked_fill(itself | ~pairs.unsqueeze(-1), torch.inf)


def least_distances(frac_coords: Tensor, there: Tensor, lattice: Tensor) -> Tensor:
    """Least distance between two sites or a site and its own image in Å, (B,); arguments as in `to_points`."""
    return image_squares(frac_coords, there, lattice).flatten(1).amin(1).sqrt()
