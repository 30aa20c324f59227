"""A latent space: its points, the materials in it, maps of it, groups and selections on them."""

from matgen_core.latent.index import known_columns, known_materials
from matgen_core.latent.map import LatentMap
from matgen_core.latent.space import Decoded, Encoded, LatentSpace, fitting

__all__ = ["Decoded", "Encoded", "LatentMap", "LatentSpace", "fitting", "known_columns", "known_materials"]
