"""How well the species channels of a drawing tell the element of each true site."""

import torch
from torch import Tensor
from torch.nn import functional as F

from matgen_core.networks.arrays import density


def species_error(
    drawn: Tensor, frac_coords: Tensor, species: Tensor, codes: Tensor, class_weights: Tensor, widths: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of the nearest code at the true sites, and the share of sites that are right.

    A crystal counts as one whatever its number of sites: a wrong element in it is as wrong in 2 sites as in 80.

    Args:
        drawn: Species channels, (B, n_codes, X, Y, Z).
        frac_coords: (B, n, 3), the sites that were drawn.
        species: (B, n), place of each site's element in `codes`; -1 for padding.
        codes: (n_elements, n_codes).
        class_weights: (n_elements,), weight of a site of each element.
        widths: Of the Gaussians, as for `density.profiles`.
    """
    found = species >= 0
    sites = density.Sites(frac_coords, found.float(), found)
    with torch.autocast(drawn.device.type, enabled=False):
        decoded = density.deconvolve(drawn, sites, widths)
        # Squared distance less the square of what was decoded, which is the same for every element.
        distance = codes.square().sum(-1) - 2 * decoded @ codes.T  # (B, n, n_elements)
    label = species.clamp(min=0)
    each = F.cross_entropy(-2.0 * distance.flatten(0, 1), label.flatten(), reduction="none").view_as(label)
    share = found / found.sum(1, keepdim=True).clamp(min=1)
    error = (each * class_weights[label] * share).sum(1).mean()
    right = ((distance.argmin(-1) == species) & found).sum() / found.sum().clamp(min=1)
    return error, right
