"""The networks, one file a paper; torch only, and nothing here knows how a material becomes an array."""

from matgen_core import Named

MODELS = Named(
    {
        "cgcnn": "matgen_core.networks.models.cgcnn:CGCNN",
        "ding": "matgen_core.networks.models.ding:DING",
        "formation_references": "matgen_core.networks.models.formation_references:FormationReferences",
        "icsg3d": "matgen_core.networks.models.voxels.icsg3d:ICSG3D",
        "icsg3d_paper": "matgen_core.networks.models.voxels.icsg3d_paper:ICSG3DPaper",
        "formula_lm": "matgen_core.networks.models.formula_lm:FormulaLM",
        "phase_field_norm": "matgen_core.networks.models.phase_field_norm:PhaseFieldNorm",
        "phase_field_vae": "matgen_core.networks.models.phase_field_vae:PhaseFieldVAE",
        "point_cloud_gan": "matgen_core.networks.models.clouds.point_cloud_gan:PointCloudGAN",
        "point_cloud_gan_paper": "matgen_core.networks.models.clouds.point_cloud_gan_paper:PointCloudGANPaper",
        "random_forest": "matgen_core.networks.models.random_forest:RandomForest",
        "voxel_vae": "matgen_core.networks.models.voxels.voxel_vae:VoxelVAE",
    }
)

__all__ = ["MODELS"]
