from .index import known_columns as known_columns
from .index import known_materials as known_materials
from .map import LatentMap as LatentMap
from .space import Decoded as Decoded
from .space import Encoded as Encoded
from .space import LatentSpace as LatentSpace
from .space import fitting as fitting
