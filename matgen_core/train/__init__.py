"""Recipes: how each checkpoint is made and judged. One recipe a checkpoint, of the same name."""

from typing import Any, Protocol

from matgen_core.checkpoint import Checkpoint
from matgen_core.train.cgcnn import CGCNNRecipe
from matgen_core.train.icsg3d import ICSG3DRecipe
from matgen_core.train.phase_field_norm import PhaseFieldNormRecipe
from matgen_core.train.phase_field_vae import PhaseFieldVAERecipe


class Recipe(Protocol):
    """A frozen dataclass of settings that can make a checkpoint and judge it."""

    @property
    def name(self) -> str:
        """Name of the checkpoint."""
        ...

    def run(self, device: str) -> Checkpoint:
        """Train, judge and describe a checkpoint."""
        ...

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Compute the figures of its card anew."""
        ...


RECIPES: dict[str, Recipe] = {
    "cgcnn_energy": CGCNNRecipe("cgcnn_energy"),
    "cgcnn_elastic": CGCNNRecipe("cgcnn_elastic"),
    "cgcnn_dielectric": CGCNNRecipe("cgcnn_dielectric"),
    "icsg3d": ICSG3DRecipe("icsg3d", arrays="cubic", n_index=10_000),
    "icsg3d_perov5": ICSG3DRecipe("icsg3d_perov5", arrays="perov5", n_index=6_000),
    "phase_field_norm": PhaseFieldNormRecipe(),
    "phase_field_vae": PhaseFieldVAERecipe(),
}


def recipe_named(name: str) -> Recipe:
    """Return a recipe.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in RECIPES:
        raise ValueError(f"{name!r} is no recipe; known: {', '.join(RECIPES)}")
    return RECIPES[name]
