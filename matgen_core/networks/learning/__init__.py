"""How the networks learn: one learner a system, and the loops that they share.

A run takes one file of arrays that a recipe prepared and leaves a folder; `__main__` does it where torch is alone.
"""

from dataclasses import replace
from typing import Any

from matgen_core.networks.learning.cgcnn import DIELECTRIC, ELASTIC, ENERGY
from matgen_core.networks.learning.crystalgan import CrystalGANLearner, PublishedLearner
from matgen_core.networks.learning.ding import DINGLearner
from matgen_core.networks.learning.formation_references import FormationReferencesLearner
from matgen_core.networks.learning.formula_lm import LIKELIHOOD, FormulaLMLearner
from matgen_core.networks.learning.voxels.icsg3d import PRIOR, ICSG3DLearner
from matgen_core.networks.learning.voxels.icsg3d_paper import ICSG3DPaperLearner
from matgen_core.networks.learning.voxels.imatgen import IMatGenLearner
from matgen_core.networks.learning.voxels.voxel_vae import VoxelVAELearner
from matgen_core.networks.models.formula_lm import FormulaLMConfig
from matgen_core.networks.models.voxels.icsg3d import ICSG3DConfig

# By the name of the checkpoint: what learns it, with all of its settings. Recipes take them from here.
LEARNERS: dict[str, Any] = {
    "cgcnn_energy": ENERGY,
    "cgcnn_elastic": ELASTIC,
    "cgcnn_dielectric": DIELECTRIC,
    # For comparison with cgcnn_energy, on its arrays; no checkpoint is made of these.
    "energy_random_split": replace(ENERGY, split="random", members=2),
    "energy_paper_design": replace(ENERGY, weights=(), members=2, paper_design=True),
    "crystalgan_hydride": CrystalGANLearner(),
    # For comparison with crystalgan_hydride, on its arrays; no checkpoint is made of it.
    "crystalgan_published": PublishedLearner(),
    "ding": DINGLearner(),
    "formation_references": FormationReferencesLearner(),
    "icsg3d": ICSG3DLearner(config=ICSG3DConfig(prior_hidden=256), prior=replace(PRIOR, epochs=10_000, minutes=6.8)),
    "icsg3d_perov5": ICSG3DLearner(prior=replace(PRIOR, epochs=10_000, minutes=1.2)),
    "icsg3d_paper": ICSG3DPaperLearner(),
    "imatgen_vo": IMatGenLearner(),
    "formula_lm_oqmd": FormulaLMLearner(
        FormulaLMConfig(hidden=224, element_temperature=1.2, count_temperature=1.2),
        likelihood=replace(LIKELIHOOD, epochs=8, batch_size=1024, weight_decay=1e-3),
    ),
    "formula_lm_icsd": FormulaLMLearner(FormulaLMConfig(element_temperature=1.1, count_temperature=1.1)),
    "formula_lm_icsd_filtered": FormulaLMLearner(FormulaLMConfig(element_temperature=1.1, count_temperature=1.1)),
    "voxel_vae": VoxelVAELearner(),
}


def learner_named(name: str) -> Any:
    """Return the learner of a checkpoint, with its settings.

    Raises:
        ValueError: If nothing of this name is learned.
    """
    if name not in LEARNERS:
        raise ValueError(f"{name!r} is no learner; known: {', '.join(LEARNERS)}")
    return LEARNERS[name]
