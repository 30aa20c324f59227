from .known import DATASETS as DATASETS
from .known import Source as Source
from .places import check_name as check_name
from .places import is_name as is_name
from .places import path_of as path_of
from .places import root as root
