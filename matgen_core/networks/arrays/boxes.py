"""Cubic crystals as Court et al. draw them: the sites of one cell in a box with an empty rim.

The box holds the cell and a quarter of it on each side, and no periodic images: each site stands in it once. Its
density is in electrons per Å^3, its labels are the balls of the ionic radii.

Reference: Court et al., J. Chem. Inf. Model. 60, 4518 (2020), doi:10.1021/acs.jcim.0c00464
"""

import math
from itertools import permutations, product

import torch
from torch import Tensor

RIM = 0.25  # of the edge, on each side of the cell
SCALE = 1 + 2 * RIM  # edge of the box over that of the cell


def voxel_centers(grid: int, device: torch.device | None = None) -> Tensor:
    """Fractions of the edge at which voxels stand along each axis, (grid,); 0 is the corner of the cell."""
    return (torch.arange(grid, device=device) + 0.5) / grid * SCALE - RIM


def draw(
    frac_coords: Tensor, species: Tensor, edge: Tensor, numbers: Tensor, radii: Tensor, grid: int
) -> tuple[Tensor, Tensor]:
    """Draw a batch of crystals.

    The density of a site is its atomic number times a normalized Gaussian whose standard deviation is its radius.
    A voxel belongs to the nearest site that has it within its radius.

    Args:
        frac_coords: (B, n, 3), as they stand in the box: images are not drawn.
        species: (B, n), place of each site's element; -1 for padding.
        edge: (B,) in Å.
        numbers: (n_elements,), atomic numbers.
        radii: (n_elements,) in Å.
        grid: Voxels along each edge of the box.

    Returns:
        Density and distances from the box's corner along the three axes in Å, (B, 4, grid, grid, grid); labels
        (B, grid, grid, grid), 0 for empty space, else one more than the place of the element.
    """
    n_batch, device = len(edge), edge.device
    present = species >= 0
    place = species.clamp(min=0)
    radius = radii[place].unsqueeze(-1)
    offset = voxel_centers(grid, device) - frac_coords.unsqueeze(-1)  # (B, n, 3, grid)
    squares = (offset * edge.view(-1, 1, 1, 1)).square()
    x, y, z = (-0.5 * squares / radius.unsqueeze(-1).square()).exp().unbind(2)
    height = numbers[place] * present / (radii[place].pow(3) * (2 * math.pi) ** 1.5)
    planes = (y.unsqueeze(-1) * z.unsqueeze(-2)).flatten(2)
    density = ((x * height.unsqueeze(-1)).mT @ planes).view(n_batch, grid, grid, grid)
    nearest = torch.full((n_batch, grid, grid, grid), torch.inf, device=device)
    labels = torch.zeros(n_batch, grid, grid, grid, dtype=torch.long, device=device)
    for i in range(int(present.sum(1).max())):  # one site at a time: all at once would fill the memory
        a, b, c = squares[:, i].unbind(1)
        square = a.view(-1, grid, 1, 1) + b.view(-1, 1, grid, 1) + c.view(-1, 1, 1, grid)
        reach = torch.where(present[:, i], radii[place[:, i]].square(), 0.0).view(-1, 1, 1, 1)
        closer = (square < reach) & (square < nearest)
        nearest = torch.where(closer, square, nearest)
        labels = torch.where(closer, place[:, i].view(-1, 1, 1, 1) + 1, labels)
    return torch.cat([density.unsqueeze(1), _coordinates(edge, grid)], 1), labels


def to_corner(frac_coords: Tensor, species: Tensor) -> Tensor:
    """Move the sites (B, n, 3) of each crystal into the cell and on until the smallest coordinate of each axis is 0."""
    # A coordinate just below 1 is one at 0 that was rounded.
    frac_coords = torch.where(frac_coords % 1.0 > 1 - 1e-4, 0.0, frac_coords % 1.0)
    absent = (species < 0).unsqueeze(-1)
    return frac_coords - frac_coords.masked_fill(absent, torch.inf).amin(1, keepdim=True)


def turn(frac_coords: Tensor, rotations: Tensor) -> Tensor:
    """Turn sites (B, n, 3) about the center of the box by matrices (B, 3, 3)."""
    return (frac_coords - 0.5) @ rotations.mT + 0.5


def rotations() -> Tensor:
    """Return the 24 rotations of a cube, (24, 3, 3)."""
    matrices = torch.stack(
        [
            torch.tensor(signs).unsqueeze(1) * torch.eye(3)[list(order)]
            for order in permutations(range(3))
            for signs in product((1.0, -1.0), repeat=3)
        ]
    )
    return matrices[torch.linalg.det(matrices) > 0]


def edge_of(coordinates: Tensor) -> Tensor:
    """Least-squares edges (B, 3) in Å of a cell whose box has these coordinate channels, (B, 3, N, N, N)."""
    found = []
    for axis, n in enumerate(coordinates.shape[-3:]):
        others = [dim for dim in (2, 3, 4) if dim != axis + 2]
        fraction = voxel_centers(n, coordinates.device)
        fraction = fraction - fraction.mean()
        found.append((coordinates[:, axis : axis + 1].mean(others)[:, 0] * fraction).sum(-1) / fraction.square().sum())
    return torch.stack(found, 1)


def _coordinates(edge: Tensor, grid: int) -> Tensor:
    """Distances from the box's corner to each voxel's near corner in Å, (B, 3, grid, grid, grid); none is negative."""
    steps = torch.arange(grid, device=edge.device) / grid * SCALE
    axes = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"))
    return axes * edge.view(-1, 1, 1, 1, 1)
