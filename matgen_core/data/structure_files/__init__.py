"""Crystals from files: CIF, POSCAR and extended XYZ, one reader each.

`read_structures` is for a person's own files: what cannot be read keeps its place with the reason, and what had to
be done or guessed to read the rest is said in a note. Importing data sets uses the same readers.
"""

from matgen_core.data.structure_files.cif import read_cif
from matgen_core.data.structure_files.files import StructureFile, read_content, read_structures, too_large
from matgen_core.data.structure_files.limits import MAX_BYTES, MAX_SITES, structure_problem
from matgen_core.data.structure_files.plain import file_of, plain_file
from matgen_core.data.structure_files.poscar import read_poscar
from matgen_core.data.structure_files.reading import Reading, decoded, one_line, text_of
from matgen_core.data.structure_files.xyz import periodicity, read_frames, structure_of_atoms

__all__ = [
    "MAX_BYTES",
    "MAX_SITES",
    "Reading",
    "StructureFile",
    "decoded",
    "file_of",
    "one_line",
    "periodicity",
    "plain_file",
    "read_cif",
    "read_content",
    "read_frames",
    "read_poscar",
    "read_structures",
    "structure_of_atoms",
    "structure_problem",
    "text_of",
    "too_large",
]
