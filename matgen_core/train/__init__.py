"""Recipes: how each checkpoint is made and judged. One recipe a checkpoint, of the same name."""

from typing import Any, Protocol

import numpy as np

from matgen_core import checkpoint, projection
from matgen_core.checkpoint import Checkpoint
from matgen_core.train.cgcnn import CGCNNRecipe
from matgen_core.train.icsg3d import ICSG3DRecipe, Samples
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
    "icsg3d": ICSG3DRecipe(
        "icsg3d",
        arrays="cubic",
        n_index=600,
        samples=Samples(held_out=200, round_trips=100, walks=10, prior=60, around=30, per_class=3),
    ),
    "icsg3d_perov5": ICSG3DRecipe(
        "icsg3d_perov5",
        arrays="perov5",
        n_index=1000,
        samples=Samples(held_out=1000, round_trips=300, walks=30, prior=150, around=50),
    ),
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


def regrade(name: str, n_seeds: int = projection.N_SEEDS) -> dict[str, Any]:
    """Grade the maps of a checkpoint anew and write the grades into its index and metrics; nothing is trained.

    Args:
        name: A checkpoint with maps, made by its recipe: the seed of the maps is the recipe's.
        n_seeds: Further seeds that the stability of a map is measured with.

    Returns:
        What now stands under `maps` in its metrics.

    Raises:
        CheckpointError: If there is no such checkpoint or it cannot be used.
        ValueError: If it has no map.
    """
    model = checkpoint.load(name)
    if model.index is None or "z" not in model.index:
        raise ValueError(f"{name} has no latent points, so it has no map to grade")
    z = np.stack(model.index["z"].to_numpy()).astype(np.float32)
    index = projection.regrade(model.index, z, int(model.provenance["seed"]), n_seeds)
    grades = projection.map_grades(index)
    checkpoint.amend(name, model.metrics | {"maps": grades}, index)
    return grades
