"""Recipes: how each checkpoint is made and judged. One recipe a checkpoint, of the same name."""

from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent import projection
from matgen_core.networks.learning.icsg3d import PRIOR
from matgen_core.networks.learning.matgan import LIKELIHOOD
from matgen_core.networks.models.icsg3d import ICSG3DConfig
from matgen_core.networks.models.matgan import MatGANConfig
from matgen_core.recipes.cgcnn.recipe import CGCNNRecipe
from matgen_core.recipes.ding.recipe import DINGRecipe
from matgen_core.recipes.icsg3d.recipe import ICSG3DRecipe
from matgen_core.recipes.icsg3d_paper.recipe import ICSG3DPaperRecipe
from matgen_core.recipes.matgan.recipe import MatGANRecipe
from matgen_core.recipes.phase_field_norm.recipe import PhaseFieldNormRecipe
from matgen_core.recipes.phase_field_vae.recipe import PhaseFieldVAERecipe
from matgen_core.recipes.shared import formula_sets
from matgen_core.recipes.two_d_screen.recipe import TwoDScreenRecipe


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
    # It judges what the crystal models make: its weights stay as they were when that was measured.
    "cgcnn_energy": CGCNNRecipe("cgcnn_energy", precision="float16"),
    "cgcnn_elastic": CGCNNRecipe("cgcnn_elastic"),
    "cgcnn_dielectric": CGCNNRecipe("cgcnn_dielectric"),
    "ding": DINGRecipe(),
    "icsg3d": ICSG3DRecipe(
        config=ICSG3DConfig(prior_hidden=256), prior=replace(PRIOR, epochs=10_000, minutes=6.8), n_index=5_000
    ),
    "icsg3d_perov5": ICSG3DRecipe(
        "icsg3d_perov5",
        "perov5",
        "Cubic perovskite cells of Perov-5",
        prior=replace(PRIOR, epochs=10_000, minutes=1.2),
        n_index=3_000,
    ),
    "icsg3d_paper": ICSG3DPaperRecipe(),
    "matgan_oqmd": MatGANRecipe(
        "matgan_oqmd",
        "Formulas that look like the OQMD",
        formula_sets.oqmd,
        MatGANConfig(hidden=224, element_temperature=1.2, count_temperature=1.2),
        element_temperature=1.6,
        count_temperature=1.3,
        likelihood=replace(LIKELIHOOD, epochs=8, batch_size=1024, weight_decay=1e-3),
        tried=((1.0, 1.0), (1.2, 1.2), (1.4, 1.2), (1.8, 1.2)),
    ),
    "matgan_icsd": MatGANRecipe(
        "matgan_icsd",
        "Formulas that look like what has been made",
        formula_sets.experimental,
        MatGANConfig(element_temperature=1.1, count_temperature=1.1),
        element_temperature=1.8,
        count_temperature=1.33,
        tried=((1.1, 1.1), (1.5, 1.0), (1.8, 1.2), (2.2, 0.8)),
    ),
    "matgan_icsd_filtered": MatGANRecipe(
        "matgan_icsd_filtered",
        "Formulas that look like what has been made and is neutral and balanced",
        formula_sets.experimental_valid,
        MatGANConfig(element_temperature=1.1, count_temperature=1.1),
        element_temperature=2.2,
        count_temperature=0.8,
        tried=((1.1, 1.1), (1.3, 1.0), (1.5, 0.8), (1.8, 0.75)),
    ),
    "phase_field_norm": PhaseFieldNormRecipe(),
    "phase_field_vae": PhaseFieldVAERecipe(),
    "two_d_screen": TwoDScreenRecipe(),
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
