"""Crystals as iMatGen draws them: an image of the cell, and one image an element of the atoms in it, and back.

The cell image is one Gaussian at the center of the cell in the metric of the real cell, so its shape tells edges and
angles. A basis image is a box of fixed size with a Gaussian at each atom of one element; the box stands still while
cells differ, and has an empty rim.

Reference: Noh et al., Matter 1, 1370 (2019), doi:10.1016/j.matt.2019.08.017
"""

import torch
from torch import Tensor

from matgen_core.networks.arrays import density
from matgen_core.networks.arrays.cells import lattice_from_parameters

MIDDLE = 0.4  # of the cell along each vector: the center of the box
FIRST = MIDDLE - 0.5  # atoms stand from here to one cell further: no special position lies at this border
FLAT = 1e-3  # volume over that of a box with these edges; a flatter cell holds nothing
LEAST = 0.02  # values of a cell image below it are 0, as published
_LOWEST = 0.3  # of the height of an atom; what is lower is no peak
_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def in_box(frac_coords: Tensor, lattice: Tensor, box: float) -> Tensor:
    """Places of atoms as fractions of the box, (B, n, 3); those of coordinates as they stand, of whatever image."""
    return (frac_coords - MIDDLE) @ lattice / box + 0.5


def in_cell(places: Tensor, lattice: Tensor, box: float) -> Tensor:
    """Fractional coordinates (B, n, 3) of places in the box.

    A flat cell has none: there they are those of a cube of 1 Å, so that one such cell does not end a whole batch.
    Whoever reads a cell refuses it.
    """
    flat = torch.linalg.det(lattice).abs() < FLAT * lattice.norm(dim=-1).prod(1)
    unit = torch.eye(3, dtype=lattice.dtype, device=lattice.device)
    usable = torch.where((flat | ~lattice.isfinite().all((1, 2))).view(-1, 1, 1), unit, lattice)
    return (places - 0.5) * box @ torch.linalg.inv(usable) + MIDDLE


def basis_images(places: Tensor, species: Tensor, n_elements: int, grid: int, width: float) -> Tensor:
    """Draw the atoms, (B, n_elements, grid, grid, grid).

    Args:
        places: (B, n, 3), fractions of the box.
        species: (B, n), place of each atom's element; -1 for padding.
        n_elements: Images of a crystal.
        grid: Points along each edge.
        width: Standard deviation as a fraction of the box.
    """
    values = torch.nn.functional.one_hot(species.clamp(min=0), n_elements) * (species >= 0).unsqueeze(-1)
    widths = torch.full((1, 1, 3), width, dtype=places.dtype, device=places.device)
    return density.splat(places, values.to(places.dtype), (grid, grid, grid), widths)


def read_basis(images: Tensor, width: float, max_sites: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the atoms of basis images (B, n_elements, grid, grid, grid).

    Peaks are fitted together; how many of them are atoms, the highest first, is told by the sum of all their heights,
    the density of the image over that of one atom.

    Args:
        images: As `basis_images` draws them.
        width: Likewise.
        max_sites: Looked for in one image.

    Returns:
        Places (B, n, 3) as fractions of the box, and place of each atom's element (B, n), -1 where there is none; and
        the numbers of atoms by the sums, (B, n_elements).
    """
    n, n_elements, _grid = images.shape[:3]
    widths = torch.full((3,), width, dtype=images.dtype, device=images.device)
    sites = density.find_sites(images.flatten(0, 1), widths, threshold=_LOWEST, max_sites=max_sites)
    sums = (sites.heights * sites.found).sum(1)
    most = sums.round().clamp(min=1).unsqueeze(1)
    found = sites.found & (torch.arange(sites.found.shape[1], device=images.device) < most)
    kinds = torch.arange(n_elements, device=images.device).repeat(n).unsqueeze(1).expand_as(found)
    species = torch.where(found, kinds, -1)
    return sites.frac_coords.unflatten(0, (n, n_elements)).flatten(1, 2), species.view(n, -1), sums.view(n, n_elements)


def cell_image(lattice: Tensor, grid: int, width: float) -> Tensor:
    """Draw cells (B, 3, 3), (B, grid, grid, grid); `width` is the standard deviation in Å."""
    offsets = _offsets(grid, lattice)
    metric = lattice @ lattice.mT
    squared = torch.einsum("pi,bij,pj->bp", offsets, metric, offsets)
    drawn = (-squared / (2 * width**2)).exp()
    return torch.where(drawn < LEAST, 0.0, drawn).unflatten(1, (grid, grid, grid))


def lattice_of_image(image: Tensor, width: float) -> Tensor:
    """Read cells (B, 3, 3) from what `cell_image` drew, by least squares over the logarithms of all voxels."""
    flat = image.flatten(1).double()
    offsets = _offsets(image.shape[-1], flat)
    columns = torch.stack([offsets[:, i] * offsets[:, j] * (1 if i == j else 2) for i, j in _PAIRS], 1)
    weight = torch.where(flat < LEAST, 0.0, flat.square())
    right = -2 * width**2 * flat.clamp(min=LEAST).log()
    normal = torch.einsum("bp,pi,pj->bij", weight, columns, columns)
    normal = normal + 1e-12 * torch.eye(6, dtype=normal.dtype, device=normal.device)
    found = torch.linalg.solve(normal, torch.einsum("bp,pi->bi", weight * right, columns))
    lengths = found[:, :3].clamp(min=1e-6).sqrt()
    a, b, c = lengths.unbind(1)
    cosines = found[:, 3:] / torch.stack([b * c, a * c, a * b], 1)
    return lattice_from_parameters(torch.cat([lengths, cosines.clamp(-1, 1)], 1)).to(image.dtype)


def _offsets(grid: int, like: Tensor) -> Tensor:
    """Fractions of the cell from its center to each voxel, (grid^3, 3)."""
    steps = torch.arange(grid, dtype=like.dtype, device=like.device) / grid - 0.5
    return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).flatten(0, 2)
