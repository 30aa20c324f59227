"""Crystals from files: CIF, POSCAR and extended XYZ, one reader each.

`read_structures` is for a person's own files: what cannot be read keeps its place with the reason, and what had to
be done or guessed to read the rest is said in a note. Importing data sets uses the same readers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
