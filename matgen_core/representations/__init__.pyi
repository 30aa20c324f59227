import matgen_core

from ._errors import DecodeError as DecodeError
from .crystal_graph import CrystalGraph as CrystalGraph
from .element_counts import ElementCounts as ElementCounts
from .element_features import ElementFeatures as ElementFeatures
from .element_fractions import ElementFractions as ElementFractions
from .magpie_features import MagpieFeatures as MagpieFeatures
from .point_cloud import PointCloud as PointCloud
from .protocols import BatchDecoder as BatchDecoder
from .protocols import FormulaDecoder as FormulaDecoder
from .protocols import FormulaEncoder as FormulaEncoder
from .protocols import Invertible as Invertible
from .protocols import Representation as Representation
from .voxels.cell_and_basis import CellAndBasis as CellAndBasis
from .voxels.padded_voxels import PaddedVoxels as PaddedVoxels
from .voxels.voxel_grid import VoxelGrid as VoxelGrid

REPRESENTATIONS: matgen_core.Named
