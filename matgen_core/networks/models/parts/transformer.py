"""A transformer block, and images cut into the blocks of voxels that are its tokens."""

from torch import Tensor, nn
from torch.nn import functional as F


class TransformerBlock(nn.Module):
    """Attention and two layers, each beside the identity."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attend, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm_attend, self.norm_layers = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_tokens, width) to the same shape."""
        parts = self.attend(self.norm_attend(x)).unflatten(-1, (3, self.heads, -1)).transpose(1, 3)
        seen = F.scaled_dot_product_attention(*(part.squeeze(2) for part in parts.split(1, 2)))
        x = x + self.joined(seen.transpose(1, 2).flatten(2))
        return x + self.layers(self.norm_layers(x))


def blocks_of(x: Tensor, size: int) -> Tensor:
    """Cut (B, C, X, Y, Z) into blocks, (B, X / size, Y / size, Z / size, C size^3)."""
    n, c, *grid = x.shape
    cut = x.view(n, c, *(part for edge in grid for part in (edge // size, size)))
    return cut.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)


def voxels_of(blocks: Tensor, size: int) -> Tensor:
    """Undo `blocks_of`."""
    n, x, y, z, c = blocks.shape
    cut = blocks.view(n, x, y, z, c // size**3, size, size, size).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return cut.reshape(n, c // size**3, x * size, y * size, z * size)
