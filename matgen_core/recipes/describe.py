"""Make the checkpoint of a recipe from the folder that a training run left, on this machine or a bare one.

python -m matgen_core.recipes.describe icsg3d run
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from matgen_core import checkpoint
from matgen_core.recipes import RECIPES
from matgen_core.recipes.ding.recipe import DINGRecipe
from matgen_core.recipes.icsg3d.recipe import ICSG3DRecipe
from matgen_core.recipes.icsg3d_paper.recipe import ICSG3DPaperRecipe
from matgen_core.recipes.matgan.recipe import MatGANRecipe

KINDS = (DINGRecipe, ICSG3DRecipe, ICSG3DPaperRecipe, MatGANRecipe)


def main(arguments: Sequence[str] | None = None) -> None:
    """Describe one run and write its checkpoint."""
    recipes = {name: recipe for name, recipe in RECIPES.items() if isinstance(recipe, KINDS)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(recipes))
    parser.add_argument(
        "folder", type=Path, help="config.json, weights.safetensors, losses; points.safetensors of icsg3d"
    )
    given = parser.parse_args(arguments)
    checkpoint.save(recipes[given.name].describe(given.folder), checkpoint.root() / given.name)


if __name__ == "__main__":
    main()
