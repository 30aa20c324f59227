"""Messages between the sites of crystals and their nearest images: what a network sees of a whole crystal."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from matgen_core.networks.arrays.clouds import image_vectors

_IMAGES = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 3)  # in the order of `image_vectors`


@dataclass(frozen=True, eq=False)
class Edges:
    """The nearest images of sites around each.

    Attributes:
        places: (B, n, K), which site each is an image of.
        directions: (B, n, K, 3), of length 1, from the site to the image.
        features: (B, n, K, 2 n_radial), Gaussians of the distance in Å and in sums of the radii.
        weight: (B, n, K), 1 at no distance, 0 from the last neighbor or the cutoff on.
    """

    places: Tensor
    directions: Tensor
    features: Tensor
    weight: Tensor

    def joined(self, state: Tensor) -> Tensor:
        """State of a site, of its neighbor, and their product, (B, n, K, 3 width)."""
        other = self.gathered(state)
        own = state.unsqueeze(2).expand_as(other)
        return torch.cat([own, other, own * other], -1)

    def gathered(self, state: Tensor) -> Tensor:
        """State of each neighbor, (B, n, K, width)."""
        places = self.places.flatten(1).unsqueeze(-1).expand(-1, -1, state.shape[-1])
        return state.gather(1, places).unflatten(1, self.places.shape[1:])


class Messages(nn.Module):
    """What each site gathers of its neighbors: their kinds, their elements, how far they are."""

    def __init__(
        self,
        n_properties: int,
        n_told: int,
        width: int,
        n_layers: int,
        n_neighbors: int,
        cutoff: float,
        n_radial: int,
    ) -> None:
        super().__init__()
        self.n_neighbors, self.cutoff, self.n_radial = n_neighbors, cutoff, n_radial
        self.element = nn.Linear(n_properties, width)
        self.hydrogen = nn.Linear(1, width, bias=False)
        self.told = nn.Linear(n_told, width) if n_told else None
        self.layers = nn.ModuleList(_Layer(width, 2 * n_radial) for _ in range(n_layers))

    def forward(
        self,
        frac_coords: Tensor,
        kinds: Tensor,
        lattice: Tensor,
        described: tuple[Tensor, Tensor],
        told: Tensor | None = None,
    ) -> tuple[Tensor, Edges]:
        """Return what each site has gathered, (B, n, width), and the edges along which it came.

        Args:
            frac_coords: (B, n, 3).
            kinds: (B, n, n_kinds), the share that a site is of each kind; 0 in all for padding.
            lattice: (B, 3, 3) in Å, of cells that are not skewed much: 27 images are looked at.
            described: Properties (B, n_kinds, n_properties) and radii (B, n_kinds) in Å of each kind, hydrogen first.
            told: (B, n, n_told), what each site is told beside.
        """
        properties, radii = described
        edges = self._edges(frac_coords, kinds, lattice, radii)
        state = torch.einsum("bnk,bkw->bnw", kinds, self.element(properties)) + self.hydrogen(kinds[..., :1])
        if self.told is not None and told is not None:
            state = state + self.told(told)
        for layer in self.layers:
            state = layer(state, edges)
        return state * (kinds.detach().sum(-1, keepdim=True) > 0.5), edges

    def _edges(self, frac_coords: Tensor, kinds: Tensor, lattice: Tensor, radii: Tensor) -> Edges:
        there = kinds.detach().sum(-1) > 0.5
        n = there.shape[1]
        with torch.no_grad():
            squares = image_vectors(frac_coords, lattice).square().sum(-1)  # (B, n, n, 27)
            squares = squares.masked_fill(~(there.unsqueeze(1) & there.unsqueeze(2)).unsqueeze(-1), torch.inf)
            squares[:, range(n), range(n), squares.shape[-1] // 2] = torch.inf  # a site and itself
            k = min(self.n_neighbors, squares.shape[2] * squares.shape[3])
            found, place = squares.flatten(2).topk(k, dim=2, largest=False)
            places, image = place // squares.shape[3], place % squares.shape[3]
        flat = places.flatten(1)
        ends = frac_coords.gather(1, flat.unsqueeze(-1).expand(-1, -1, 3)).unflatten(1, places.shape[1:])
        between = ends - frac_coords.unsqueeze(2)
        between = between - between.detach().round() + _IMAGES.to(frac_coords)[image]
        vectors = (between.flatten(1, 2) @ lattice).unflatten(1, places.shape[1:])
        vectors = torch.where(torch.isfinite(found).unsqueeze(-1), vectors, torch.full_like(vectors, 2 * self.cutoff))
        distance = vectors.square().sum(-1).add(1e-6).sqrt()
        radius = (kinds * radii.unsqueeze(1)).sum(-1)
        reach = radius.unsqueeze(2) + radius.gather(1, flat).unflatten(1, places.shape[1:])
        # The last neighbor counts for nothing: of sites equally far away, none is cut off while others count.
        inside = (distance / distance[..., -1:].clamp(max=self.cutoff)).clamp(max=1.0)
        return Edges(
            places,
            vectors / distance.unsqueeze(-1),
            torch.cat([self._spread(distance, self.cutoff), self._spread(distance / reach.clamp(min=0.3), 3.0)], -1),
            (1 - inside.square()).square(),
        )

    def _spread(self, value: Tensor, most: float) -> Tensor:
        middles = torch.linspace(0.0, most, self.n_radial, device=value.device)
        return (-(((value.unsqueeze(-1) - middles) * (self.n_radial / most)).square())).exp()


class _Layer(nn.Module):
    """One round of messages."""

    def __init__(self, width: int, n_features: int) -> None:
        super().__init__()
        self.own, self.other = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.far = nn.Linear(n_features, width, bias=False)
        self.message = nn.Linear(width, width)
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, state: Tensor, edges: Edges) -> Tensor:
        """Map (B, n, width) to the same shape."""
        sent = F.silu(self.own(state).unsqueeze(2) + edges.gathered(self.other(state)) + self.far(edges.features))
        sent = F.silu(self.message(sent)) * edges.weight.unsqueeze(-1)
        return state + self.update(torch.cat([state, sent.sum(2) / 4], -1))
