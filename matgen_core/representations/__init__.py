"""Representations: how a material becomes an array and an array becomes a material again."""

import lazy_loader

from matgen_core import Named

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)

REPRESENTATIONS = Named(
    {
        "crystal_graph": "matgen_core.representations.crystal_graph:CrystalGraph",
        "element_counts": "matgen_core.representations.element_counts:ElementCounts",
        "element_features": "matgen_core.representations.element_features:ElementFeatures",
        "element_fractions": "matgen_core.representations.element_fractions:ElementFractions",
        "magpie_features": "matgen_core.representations.magpie_features:MagpieFeatures",
        "padded_voxels": "matgen_core.representations.voxels.padded_voxels:PaddedVoxels",
        "point_cloud": "matgen_core.representations.point_cloud:PointCloud",
        "voxel_grid": "matgen_core.representations.voxels.voxel_grid:VoxelGrid",
    }
)
