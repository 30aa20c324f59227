"""The networks, one file a paper; torch only, and nothing here knows how a material becomes an array."""

from typing import Any

from matgen_core.networks.models.cgcnn import CGCNN
from matgen_core.networks.models.ding import DING
from matgen_core.networks.models.formation_references import FormationReferences
from matgen_core.networks.models.icsg3d import ICSG3D
from matgen_core.networks.models.icsg3d_paper import ICSG3DPaper
from matgen_core.networks.models.matgan import MatGAN
from matgen_core.networks.models.phase_field_norm import PhaseFieldNorm
from matgen_core.networks.models.phase_field_vae import PhaseFieldVAE
from matgen_core.networks.models.random_forest import RandomForest

MODELS: dict[str, Any] = {
    "cgcnn": CGCNN,
    "ding": DING,
    "formation_references": FormationReferences,
    "icsg3d": ICSG3D,
    "icsg3d_paper": ICSG3DPaper,
    "matgan": MatGAN,
    "phase_field_norm": PhaseFieldNorm,
    "phase_field_vae": PhaseFieldVAE,
    "random_forest": RandomForest,
}

__all__ = ["MODELS"]
