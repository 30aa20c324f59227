"""Sites as Gaussians on a periodic fractional grid, and back: the array mathematics of every voxel system.

A Gaussian whose widths are given along the lattice vectors is a product of three periodic profiles, so a
density, the overlap of two sites and the derivatives that a fit needs are all small matrix products, the
same on CPU and CUDA and for any cell. Positions are found as maxima and then fitted to the whole density by
least squares (Gauss-Newton), so they are not bound to the grid and overlapping sites do not pull at each other.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Grid = tuple[int, int, int]


class Sites(NamedTuple):
    """Sites found in a batch of densities, padded to the largest number in the batch."""

    frac_coords: Tensor  # (B, n, 3), in [0, 1)
    heights: Tensor  # (B, n), the fitted height of each Gaussian
    found: Tensor  # (B, n) bool, False for padding


def profiles(frac_coords: Tensor, grid: Grid, widths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Periodic Gaussian of every site along each axis, height 1.

    Args:
        frac_coords: (B, n, 3) fractional coordinates, any image.
        grid: Grid points along each lattice vector; point i stands at the fraction i / n.
        widths: Standard deviations as fractions of the cell's edges, broadcast against (B, n, 3).

    Returns:
        Three tensors (B, n, X), (B, n, Y), (B, n, Z).
    """
    return _axis_profiles(frac_coords, grid, widths)[0]


def splat(frac_coords: Tensor, values: Tensor, grid: Grid, widths: Tensor) -> Tensor:
    """Add `values` (B, n, C) of all sites, smeared, into (B, C, X, Y, Z); padding has values 0."""
    return _draw(values, *profiles(frac_coords, grid, widths))


def voxels(frac_coords: Tensor, lattice: Tensor, values: Tensor, grid: Grid, widths: Tensor) -> Tensor:
    """Draw a batch of crystals: density, Cartesian coordinates in Å, then the other values of the sites.

    Args:
        frac_coords: (B, n, 3).
        lattice: (B, 3, 3) row vectors in Å.
        values: (B, n, 1 + K), the height of each site in the density, then its other values; 0 for padding.
        grid: Grid points along each lattice vector.
        widths: As for `profiles`.

    Returns:
        (B, 4 + K, X, Y, Z).
    """
    drawn = splat(frac_coords, values, grid, widths)
    return torch.cat([drawn[:, :1], coordinates(lattice, grid), drawn[:, 1:]], 1)


def deconvolve(voxels: Tensor, sites: Sites, widths: Tensor) -> Tensor:
    """Fit (B, C, X, Y, Z) by one Gaussian a site and channel: the heights (B, n, C), free of cross-talk."""
    x, y, z = (p * sites.found.unsqueeze(-1) for p in profiles(sites.frac_coords, _grid_of(voxels), widths))
    overlap = (x @ x.mT) * (y @ y.mT) * (z @ z.mT)
    ridge = 1e-4 * overlap.diagonal(dim1=1, dim2=2) + (~sites.found).to(overlap.dtype)
    return _solve(overlap + torch.diag_embed(ridge), _project(voxels, x, y, z))


def coordinates(lattice: Tensor, grid: Grid) -> Tensor:
    """Cartesian position in Å of every grid point: (B, 3, 3) row vectors to (B, 3, X, Y, Z)."""
    axes = [torch.arange(n, dtype=lattice.dtype, device=lattice.device) / n for n in grid]
    fractions = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    return torch.einsum("axyz,bac->bcxyz", fractions, lattice)


def lattice_of(coordinates: Tensor) -> Tensor:
    """Least-squares lattice (B, 3, 3) of a coordinate field (B, 3, X, Y, Z) in Å."""
    rows = []
    for axis, n in enumerate(_grid_of(coordinates)):
        others = [dim for dim in (2, 3, 4) if dim != axis + 2]
        fraction = torch.arange(n, dtype=coordinates.dtype, device=coordinates.device) / n
        fraction = fraction - fraction.mean()
        rows.append((coordinates.mean(others) * fraction).sum(-1) / fraction.square().sum())
    return torch.stack(rows, 1)


def find_sites(
    density: Tensor, widths: Tensor, threshold: float = 0.5, max_sites: int = 80, n_rounds: int = 3
) -> Sites:
    """Find the sites of densities in which a site is a Gaussian of height about 1.

    Maxima above `threshold` start a least-squares fit of all positions and heights; what the fit leaves over
    is searched again, which finds a site hidden on the shoulder of another.

    Args:
        density: (B, X, Y, Z).
        widths: (3,) standard deviations as fractions of the edges, or (B, 1, 3), one row a density.
        threshold: Least height of a site, before and after the fit.
        max_sites: At most this many are looked for in one density.
        n_rounds: Fits; all but the first start with the maxima of what the one before left over.

    Returns:
        Sites in falling order of height.
    """
    n = len(density)
    sites = Sites(
        density.new_zeros(n, 0, 3), density.new_zeros(n, 0), torch.zeros(n, 0, dtype=torch.bool, device=density.device)
    )
    remainder = density
    for _ in range(n_rounds):
        new = _maxima(remainder, threshold, max_sites)
        if not new.found.any():
            break
        sites = Sites(*(torch.cat(parts, 1) for parts in zip(sites, new, strict=True)))
        sites = _compact(_drop(sites, widths, threshold), max_sites)
        sites = _fit(density, sites, widths)
        sites = _compact(_drop(sites, widths, threshold), max_sites)
        heights = (sites.heights * sites.found).unsqueeze(-1)
        remainder = density - splat(sites.frac_coords, heights, _grid_of(density), widths)[:, 0]
    return sites


def read(voxels: Tensor, site_values: Tensor, widths: Tensor, max_sites: int) -> tuple[Sites, Tensor]:
    """Read sites and species from what `voxels` drew.

    Args:
        voxels: (B, 4 + K, X, Y, Z).
        site_values: (n_elements, 1 + K), what a site of each element draws.
        widths: (B, 1, 3) or (3,).
        max_sites: At most this many sites are looked for.

    Returns:
        The sites, and for each the row of `site_values` that is nearest to what was fitted, (B, n).
    """
    heights = site_values[:, 0]
    threshold = 0.5 * float(heights.min())
    sites = find_sites(voxels[:, 0], widths, threshold, max_sites)
    codes = deconvolve(voxels[:, 4:], sites, widths)
    if bool((heights == heights[0]).all()):
        # A peak that came out too low has too small a code as well; its height tells nothing else.
        scale = sites.heights.clamp(min=threshold) / heights[0]
        return sites, torch.cdist(codes / scale.unsqueeze(-1), site_values[:, 1:].expand(len(codes), -1, -1)).argmin(-1)
    fitted = torch.cat([sites.heights.unsqueeze(-1), codes], -1)
    return sites, torch.cdist(fitted, site_values.expand(len(fitted), -1, -1)).argmin(-1)


def same_sites(
    frac_coords: Tensor,
    species: Tensor,
    found: Sites,
    found_species: Tensor,
    within: float,
    lattice: Tensor | None = None,
) -> Tensor:
    """Whether as many sites were found as there are, and one of the same element near each, (B,).

    Args:
        frac_coords: (B, n, 3).
        species: (B, n), -1 for padding.
        found: What was read.
        found_species: (B, m), of it.
        within: Largest distance, in Å with a lattice and in fractions of the edges without.
        lattice: (B, 3, 3) in Å.
    """
    expected = species >= 0
    offset = frac_coords.unsqueeze(2) - found.frac_coords.unsqueeze(1)
    offset = offset - offset.round()
    if lattice is not None:
        offset = offset @ lattice.unsqueeze(1)
    near = offset.norm(dim=-1) < within
    alike = species.unsqueeze(2) == found_species.unsqueeze(1)
    hit = (near & alike & found.found.unsqueeze(1)).any(2) | ~expected
    return hit.all(1) & (found.found.sum(1) == expected.sum(1))


def _grid_of(voxels: Tensor) -> Grid:
    x, y, z = voxels.shape[-3:]
    return x, y, z


def _axis_profiles(frac_coords: Tensor, grid: Grid, widths: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], ...]:
    """Profiles and their derivatives with respect to the position in units of the width."""
    values, slopes = [], []
    for axis, n in enumerate(grid):
        points = torch.arange(n, dtype=frac_coords.dtype, device=frac_coords.device) / n
        offset = points - frac_coords[..., axis, None]
        offset = offset - offset.round()  # minimum image, in [-0.5, 0.5]
        images = offset.unsqueeze(-1) + torch.arange(-1, 2, dtype=points.dtype, device=points.device)
        scaled = images / widths[..., axis, None, None]
        gaussian = (-0.5 * scaled.square()).exp()
        values.append(gaussian.sum(-1))
        slopes.append((scaled * gaussian).sum(-1))
    return (values[0], values[1], values[2]), (slopes[0], slopes[1], slopes[2])


def _draw(values: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Sum of all sites' Gaussians times their values, (B, C, X, Y, Z)."""
    rows = (values.unsqueeze(-1) * x.unsqueeze(-2)).flatten(2)  # (B, n, C X)
    planes = (y.unsqueeze(-1) * z.unsqueeze(-2)).flatten(2)  # (B, n, Y Z)
    return (rows.mT @ planes).view(len(x), values.shape[-1], x.shape[-1], y.shape[-1], z.shape[-1])


def _project(voxels: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Inner product of every channel with every site's Gaussian, (B, n, C)."""
    planes = (y.unsqueeze(-1) * z.unsqueeze(-2)).flatten(2)
    rows = voxels.flatten(3).flatten(1, 2) @ planes.mT  # (B, C X, n)
    return torch.einsum("bcxn,bnx->bnc", rows.view(*voxels.shape[:3], x.shape[1]), x)


def _maxima(density: Tensor, threshold: float, max_sites: int) -> Sites:
    """Grid points that no neighbor exceeds, moved by the parabola through the logarithms beside them."""
    grid = _grid_of(density)
    padded = F.pad(density.unsqueeze(1), (1, 1, 1, 1, 1, 1), mode="circular")
    is_top = (density >= F.max_pool3d(padded, 3, 1)[:, 0]) & (density > threshold)
    # A site between grid points can be the maximum at all eight of them; the twins are dropped later.
    n = min(max(int(is_top.flatten(1).sum(1).max()), 1), 8 * max_sites)
    heights, index = torch.where(is_top, density, -torch.inf).flatten(1).topk(n)
    found = heights > -torch.inf
    positions = torch.stack(torch.unravel_index(index, grid), -1)
    rows = torch.arange(len(density), device=density.device).unsqueeze(1)
    log = density.clamp(min=1e-6).log()
    moved = []
    for axis, size in enumerate(grid):
        step = torch.zeros(3, dtype=torch.long, device=density.device)
        step[axis] = 1
        before, after = (
            log[(rows, *((positions + sign * step) % torch.tensor(grid, device=density.device)).unbind(-1))]
            for sign in (-1, 1)
        )
        here = log[(rows, *positions.unbind(-1))]
        curvature = (before + after - 2 * here).clamp(max=-1e-3)
        moved.append((positions[..., axis] + ((before - after) / (2 * curvature)).clamp(-0.5, 0.5)) / size)
    return Sites(torch.stack(moved, -1) % 1.0, heights.clamp(min=0.0), found)


def _fit(density: Tensor, sites: Sites, widths: Tensor, n_steps: int = 8) -> Sites:
    """Fit positions and heights of all sites to the density together, by damped Gauss-Newton steps."""
    grid = _grid_of(density)
    frac_coords, heights, found = sites
    keep = found.to(density.dtype)
    n_sites = found.shape[1]
    widths_of_sites = widths.expand(*frac_coords.shape)
    for _ in range(n_steps):
        value, slope = _axis_profiles(frac_coords, grid, widths)
        x, y, z = (profile * keep.unsqueeze(-1) for profile in value)
        dx, dy, dz = (profile * (keep * heights).unsqueeze(-1) for profile in slope)
        remainder = density - _draw(heights.unsqueeze(-1), x, y, z)[:, 0]
        # One column a parameter: height, then the position along each axis in units of the width.
        columns = [(x, y, z), (dx, y, z), (x, dy, z), (x, y, dz)]
        gradient = torch.cat([_project(remainder.unsqueeze(1), *column)[..., 0] for column in columns], 1)
        normal = torch.cat(
            [torch.cat([(p @ a.mT) * (q @ b.mT) * (r @ c.mT) for a, b, c in columns], 2) for p, q, r in columns],
            1,
        )
        diagonal = normal.diagonal(dim1=1, dim2=2)
        damping = 1e-3 * diagonal + (diagonal < 1e-6).to(normal.dtype)
        step = _solve(normal + torch.diag_embed(damping), gradient.unsqueeze(-1)).view(-1, 4, n_sites)
        heights = (heights + step[:, 0]).clamp(min=0.0)
        moved = step[:, 1:].mT.clamp(-0.5, 0.5) * widths_of_sites
        frac_coords = frac_coords + moved * keep.unsqueeze(-1)
        if (step * keep.unsqueeze(1)).abs().max() < 1e-4:
            break
    return Sites(frac_coords % 1.0, heights, found)


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve for positive definite matrices (B, m, m) and right sides (B, m, k).

    By Cholesky factors: the batched LU solver of MKL fails, and can hang, with more than one thread.
    """
    if not matrix.shape[-1]:
        return right
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    factor, info = torch.linalg.cholesky_ex(matrix)
    jitter = 1e-3
    while bool(info.any()) and jitter < 10:  # rounding has made a matrix indefinite: damp it
        extra = jitter * diagonal * (info > 0).unsqueeze(-1)
        factor, info = torch.linalg.cholesky_ex(matrix + torch.diag_embed(extra))
        jitter *= 10
    if matrix.is_cuda and right.shape[-1] > 1:
        # There a batch with several right sides is solved one matrix at a time by the call below.
        lower = torch.linalg.solve_triangular(factor, right, upper=False)
        return torch.linalg.solve_triangular(factor.mT, lower, upper=True)
    return torch.cholesky_solve(right, factor)


def _drop(sites: Sites, widths: Tensor, threshold: float) -> Sites:
    """Drop sites too low, and of two that ended on one spot the later one."""
    frac_coords, heights, found = sites
    offset = frac_coords.unsqueeze(2) - frac_coords.unsqueeze(1)
    offset = (offset - offset.round()) / widths.unsqueeze(-2)
    index = torch.arange(found.shape[1], device=found.device)
    earlier = (index.unsqueeze(0) < index.unsqueeze(1)) & found.unsqueeze(1)
    twin = ((offset.square().sum(-1) < 0.5) & earlier).any(-1)
    return sites._replace(found=found & (heights > threshold) & ~twin)


def _compact(sites: Sites, max_sites: int) -> Sites:
    """Sort the sites found to the front, highest first, and cut the padding."""
    order = torch.where(sites.found, sites.heights, -torch.inf).argsort(1, descending=True)
    n = min(int(sites.found.sum(1).max()), max_sites)
    order = order[:, :n]
    return Sites(
        sites.frac_coords.gather(1, order.unsqueeze(-1).expand(-1, -1, 3)),
        sites.heights.gather(1, order),
        sites.found.gather(1, order),
    )
