"""CHGNet as a function of batches of crystals: graph, angles and batch are made in torch for all crystals at once.

Another family than SevenNet (no equivariant features, magnetic moments learned beside the energies), so that what both
say is worth more than what either says. The weights are those inside the installed package `chgnet` (BSD).
Reference: Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3
"""

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from matgen_core.networks.arrays.cells import Cells
from matgen_core.networks.potentials.evaluation import Evaluation, lonely
from matgen_core.networks.potentials.neighbors import Neighbors, neighbors

_WEIGHTS = ("pretrained", "0.3.0", "chgnet_0.3.0_e29f68s314m37.pth.tar")
_ON_GPU, _ON_CPU = 100_000, 4_000  # pairs in a batch


class CHGNet:
    """Version 0.3.0 of the package `chgnet`, ready to evaluate."""

    name = "chgnet"

    def __init__(self, device: str) -> None:
        """Load weights from the installed package.

        Raises:
            ValueError: If its file holds more than weights.
            OSError: If the file cannot be read.
        """
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it tells each time what it is
            warnings.simplefilter("ignore")
            import chgnet
            from chgnet.model.model import BatchedGraph
            from chgnet.model.model import CHGNet as Network

            path = Path(chgnet.__file__).parent.joinpath(*_WEIGHTS)
            try:  # its own loader would run whatever the file says
                stored = torch.load(path, map_location="cpu", weights_only=True)["model"]
            except OSError:
                raise
            except Exception as error:  # torch refuses what is no weight in several ways
                raise ValueError(f"{path} holds more than weights and is not read; install chgnet anew") from error
            model: Any = Network.from_dict(stored, mlp_out_bias=False)
        self._model = model.to(device).eval().requires_grad_(False)
        self._graph_of: Any = BatchedGraph
        self._of_elements: Tensor = self._model.composition_model.fc.weight[0]
        self.device = torch.device(device)
        self.cutoff = float(self._model.graph_converter.atom_graph_cutoff)
        self._bond_cutoff = float(self._model.graph_converter.bond_graph_cutoff)
        # The network takes elements that it was never shown, too; these have no energy of their own.
        self.elements = frozenset((self._of_elements.nonzero().squeeze(1) + 1).tolist())
        self.edges_at_once = _ON_GPU if device == "cuda" else _ON_CPU

    def __call__(self, crystals: Cells) -> Evaluation:
        """Evaluate crystals on its device; the network computes in float32, pairs are found in float64."""
        pairs = neighbors(crystals, self.cutoff)
        graph = _graph_of(pairs, self._bond_cutoff)
        owners, numbers = crystals.owners, crystals.numbers
        moves = torch.zeros(len(owners), 3, device=self.device, requires_grad=True)
        strain = torch.zeros(len(crystals), 3, 3, device=self.device, requires_grad=True)
        vectors = pairs.vectors.float() + moves[pairs.targets] - moves[pairs.sources]
        vectors = vectors + torch.bmm(vectors[:, None], strain[owners[pairs.sources]])[:, 0]
        lengths = vectors.norm(dim=1)
        directions = vectors / lengths[:, None]
        radial = self._model.bond_basis_expansion
        first, second = graph.angles[:, 0], graph.angles[:, 1]
        # What its own class makes of crystals one by one, made at once; its public methods take nothing else.
        found = self._model._compute(
            self._graph_of(
                atomic_numbers=numbers,
                bond_bases_ag=radial.rbf_expansion_ag(lengths[graph.bonds]),
                bond_bases_bg=radial.rbf_expansion_bg(lengths[graph.bonds]),
                angle_bases=self._model.angle_basis_expansion(directions[first], directions[second]),
                batched_atom_graph=torch.stack([pairs.sources, pairs.targets], 1),
                batched_bond_graph=torch.stack(
                    [pairs.sources[first], graph.bond_of_pair[first], graph.bond_of_pair[second]], 1
                ),
                atom_owners=owners,
                directed2undirected=graph.bond_of_pair,
                atom_positions=[moves],
                strains=[strain],
                volumes=crystals.volumes.float(),
            )
        )
        energy = found["e"] * crystals.counts
        slope, stress = torch.autograd.grad(energy.sum(), (moves, strain))
        of_atoms = torch.zeros_like(energy).index_add_(0, owners, self._of_elements[numbers - 1])
        return Evaluation(
            energy.detach() + of_atoms,
            -slope,
            stress / crystals.volumes.float()[:, None, None],
            lonely(crystals, pairs.sources),
        )


@dataclass(frozen=True, eq=False)
class _Graph:
    """What CHGNet has beside directed pairs.

    Attributes:
        bond_of_pair: (E,) the bond that a pair is one direction of.
        bonds: (B,) one pair of each bond.
        angles: (A, 2) two different pairs from one atom, both within the shorter cutoff.
    """

    bond_of_pair: Tensor
    bonds: Tensor
    angles: Tensor


def _graph_of(pairs: Neighbors, cutoff: float) -> _Graph:
    """Join the two directions of each pair, and pair the short ones at each atom."""
    n = len(pairs.sources)
    forth = torch.cat([pairs.sources[:, None], pairs.targets[:, None], pairs.shifts], 1)
    back = torch.cat([pairs.targets[:, None], pairs.sources[:, None], -pairs.shifts], 1)
    # of the two directions that which is less, place by place
    differs = (forth != back).long()
    where = differs.argmax(1, keepdim=True)
    is_less = forth.gather(1, where) < back.gather(1, where)
    one, bond_of_pair = torch.unique(torch.where(is_less, forth, back), dim=0, return_inverse=True)
    places = torch.arange(n, device=pairs.sources.device)
    bonds = places.new_full((len(one),), n).scatter_reduce_(0, bond_of_pair, places, "amin")
    short = (pairs.vectors.square().sum(1) < cutoff**2).nonzero().squeeze(1)
    short = short[pairs.sources[short].argsort(stable=True)]
    _, n_of_atom = torch.unique_consecutive(pairs.sources[short], return_counts=True)
    start = (n_of_atom.cumsum(0) - n_of_atom).repeat_interleave(n_of_atom)
    n_others = n_of_atom.repeat_interleave(n_of_atom)
    first = torch.arange(len(short), device=short.device).repeat_interleave(n_others)
    before = n_others.cumsum(0) - n_others
    second = start[first] + torch.arange(len(first), device=short.device) - before[first]
    angles = torch.stack([short[first], short[second]], 1)[first != second]
    return _Graph(bond_of_pair, bonds, angles)
