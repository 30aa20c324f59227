"""Recipes: how each checkpoint is made and judged. One recipe a checkpoint, of the same name."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent import projection
from matgen_core.networks.learning import LEARNERS, runs
from matgen_core.recipes.cgcnn.recipe import CGCNNRecipe
from matgen_core.recipes.ding.recipe import DINGRecipe
from matgen_core.recipes.formation_references.recipe import FormationReferencesRecipe
from matgen_core.recipes.formula_lm.recipe import FormulaLMRecipe
from matgen_core.recipes.icsg3d.recipe import ICSG3DRecipe
from matgen_core.recipes.icsg3d_paper.recipe import ICSG3DPaperRecipe
from matgen_core.recipes.phase_field_norm.recipe import PhaseFieldNormRecipe
from matgen_core.recipes.phase_field_vae.recipe import PhaseFieldVAERecipe
from matgen_core.recipes.point_cloud_gan.recipe import PointCloudGANRecipe
from matgen_core.recipes.shared import card, formula_sets
from matgen_core.recipes.shared.runs import ARRAYS, cache, measured
from matgen_core.recipes.two_d_screen.recipe import TwoDScreenRecipe
from matgen_core.recipes.voxel_vae.recipe import VoxelVAERecipe


@runtime_checkable
class Recipe(Protocol):
    """A frozen dataclass of settings that makes a checkpoint in three stages, and judges it.

    `prepare` and `describe` need the data and pymatgen; between them, what learns for minutes or hours can be done on
    a bare machine by `python -m matgen_core.networks.learning`.
    """

    @property
    def name(self) -> str:
        """Name of the checkpoint."""
        ...

    @property
    def seed(self) -> int:
        """Seed of splits, of learning, of what is judged and of maps."""
        ...

    def prepare(self, path: Path) -> None:
        """Write what learning needs as one file of arrays."""
        ...

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Learn from such a file, and leave weights, losses and the settings really used in a folder.

        Args:
            arrays: What `prepare` wrote.
            folder: Made if it is not there.
            device: "cpu" or "cuda".
            minutes: Limit of the whole run in place of those of the settings; what ends by itself within seconds has
                none to replace.
        """
        ...

    def describe(self, folder: Path) -> Checkpoint:
        """Judge what learning left in a folder, and make the checkpoint of it."""
        ...

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Compute the figures of its card anew."""
        ...


@runtime_checkable
class MeasuresApart(Protocol):
    """A recipe with figures that can be measured by themselves, on the weights and the data of a checkpoint."""

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """What measures each of them, by its name in the metrics; `describe` and `evaluate` have them all."""
        ...


RECIPES: dict[str, Recipe] = {
    # It judges what the crystal models make: its weights stay as they were when that was measured.
    "cgcnn_energy": CGCNNRecipe("cgcnn_energy", LEARNERS["cgcnn_energy"], precision="float16"),
    "cgcnn_elastic": CGCNNRecipe("cgcnn_elastic", LEARNERS["cgcnn_elastic"]),
    "cgcnn_dielectric": CGCNNRecipe("cgcnn_dielectric", LEARNERS["cgcnn_dielectric"]),
    "ding": DINGRecipe(),
    "formation_references": FormationReferencesRecipe(),
    "icsg3d": ICSG3DRecipe(n_index=5_000),
    "icsg3d_perov5": ICSG3DRecipe(
        "icsg3d_perov5",
        "perov5",
        "Cubic perovskite cells of Perov-5",
        learner=LEARNERS["icsg3d_perov5"],
        n_index=3_000,
    ),
    "icsg3d_paper": ICSG3DPaperRecipe(),
    "formula_lm_oqmd": FormulaLMRecipe(
        "formula_lm_oqmd",
        "Formulas that look like the OQMD",
        formula_sets.oqmd,
        LEARNERS["formula_lm_oqmd"],
        element_temperature=1.6,
        count_temperature=1.3,
        tried=((1.0, 1.0), (1.2, 1.2), (1.4, 1.2), (1.8, 1.2)),
    ),
    "formula_lm_icsd": FormulaLMRecipe(
        "formula_lm_icsd",
        "Formulas that look like what has been made",
        formula_sets.experimental,
        LEARNERS["formula_lm_icsd"],
        element_temperature=1.8,
        count_temperature=1.33,
        tried=((1.1, 1.1), (1.5, 1.0), (1.8, 1.2), (2.2, 0.8)),
    ),
    "formula_lm_icsd_filtered": FormulaLMRecipe(
        "formula_lm_icsd_filtered",
        "Formulas that look like what has been made and is neutral and balanced",
        formula_sets.experimental_valid,
        LEARNERS["formula_lm_icsd_filtered"],
        element_temperature=2.2,
        count_temperature=0.8,
        tried=((1.1, 1.1), (1.3, 1.0), (1.5, 0.8), (1.8, 0.75)),
    ),
    "phase_field_norm": PhaseFieldNormRecipe(),
    "phase_field_vae": PhaseFieldVAERecipe(),
    "point_cloud_gan_mgmno": PointCloudGANRecipe("point_cloud_gan_mgmno"),
    "point_cloud_gan_mgmno_paper": PointCloudGANRecipe(
        "point_cloud_gan_mgmno_paper",
        "Crystals of Mg, Mn and O by the published crystal GAN",
        learner=LEARNERS["point_cloud_gan_mgmno_paper"],
        model_name="point_cloud_gan_paper",
        precision="int8",
        n_relaxed=400,
    ),
    "two_d_screen": TwoDScreenRecipe(),
    "voxel_vae": VoxelVAERecipe(),
}


OWN = "point_cloud_gan"  # makes checkpoints for any elements


def recipe_named(name: str) -> Recipe:
    """Return a recipe.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in RECIPES:
        raise ValueError(f"{name!r} is no recipe; known: {', '.join(RECIPES)}")
    return RECIPES[name]


def own_recipe(name: str, elements: str, slots: str, path: Path | None) -> Recipe:
    """Return a recipe for other elements and crystals of one's own.

    Args:
        name: Of a system that can learn any: point_cloud_gan.
        elements: Symbols, with spaces or commas between them.
        slots: Most atoms of each in a cell, likewise.
        path: A file or a folder of CIF files.

    Raises:
        ValueError: If the system takes no elements, or what is given is no recipe.
    """
    if name != OWN:
        raise ValueError(f"{name} takes no --elements and --slots; {OWN} does")
    symbols, numbers = (tuple(text.replace(",", " ").split()) for text in (elements, slots))
    if not symbols or not numbers or path is None:
        raise ValueError(f"{OWN} takes --elements Mg Mn O --slots 8 8 12 --data FILE, all three")
    if not all(number.isdecimal() for number in numbers):
        raise ValueError(f"--slots {slots}: expected whole numbers, one an element")
    return PointCloudGANRecipe.of_own(symbols, tuple(map(int, numbers)), path)


def make(recipe: Recipe, device: str, minutes: float | None = None) -> Checkpoint:
    """Prepare, learn and describe on one machine; the arrays and the run stay in the folder of caches.

    Raises:
        ValueError: If device or minutes cannot be used.
    """
    runs.check(device, minutes)  # before the data are worked on for minutes
    folder = cache() / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    recipe.prepare(folder / ARRAYS)
    recipe.learn(folder / ARRAYS, folder, device, minutes)
    return recipe.describe(folder)


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


def measure(name: str, figures: Iterable[str] = ()) -> dict[str, Any]:
    """Measure figures of a checkpoint anew that need its weights and the data alone; store them and write its card.

    Args:
        name: A checkpoint.
        figures: Their names, as its recipe gives them; all of them if none is named.

    Returns:
        What was measured. The other files of the checkpoint stay byte for byte.

    Raises:
        CheckpointError: If there is no such checkpoint or it cannot be used.
        ValueError: If the recipe has no such figure.
    """
    model, recipe = checkpoint.load(name), recipe_named(name)
    apart = recipe.apart(model) if isinstance(recipe, MeasuresApart) else {}
    wanted = list(figures) or list(apart)
    unknown = [each for each in wanted if each not in apart]
    if not apart:
        raise ValueError(f"{name} has no figure that is measured by itself; matgen evaluate {name} measures all")
    if unknown:
        raise ValueError(
            f"{name} has no figure {', '.join(unknown)} that is measured by itself, but {', '.join(apart)}"
        )
    found = measured({each: apart[each] for each in wanted})
    checkpoint.amend(name, model.metrics | found)
    card.rewrite(name)
    return found
