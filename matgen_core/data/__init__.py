"""Data sets: what is known, what is installed, reading, splitting, importing and fetching them."""

from matgen_core.data.dataset import Dataset
from matgen_core.data.fetching import fetch
from matgen_core.data.importers import ImportLimits, ImportReport, import_file
from matgen_core.data.registry import DATASETS, Source
from matgen_core.data.rows import structure
from matgen_core.data.store import compounds_of, load, load_crystal, load_crystals_like, overview, path_of, root
from matgen_core.data.structure_files import StructureFile, read_structures
from matgen_core.data.uploads import Upload, read_uploads

__all__ = [
    "DATASETS",
    "Dataset",
    "ImportLimits",
    "ImportReport",
    "Source",
    "StructureFile",
    "Upload",
    "compounds_of",
    "fetch",
    "import_file",
    "load",
    "load_crystal",
    "load_crystals_like",
    "overview",
    "path_of",
    "read_structures",
    "read_uploads",
    "root",
    "structure",
]
