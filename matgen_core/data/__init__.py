"""Data sets: what is known, what is installed, reading, splitting, importing and fetching them."""

from matgen_core.data.dataset import Dataset
from matgen_core.data.materials import chemical_system, structure
from matgen_core.data.registry import DATASETS, Source
from matgen_core.data.store import load, overview, path_of, root

__all__ = [
    "DATASETS",
    "Dataset",
    "Source",
    "chemical_system",
    "load",
    "overview",
    "path_of",
    "root",
    "structure",
]
