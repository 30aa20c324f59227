"""Crystals and what was read with them as plain numbers and words, which cross from one process to another as JSON."""

from typing import Any

from pymatgen.core import Element, Lattice, Species, Structure

from matgen_core.data.structure_files.files import StructureFile

_PLAIN = ("name", "stem", "problem")


def plain_structure(structure: Structure) -> dict[str, Any]:
    """Write a crystal down, every digit of it; properties of sites are left out."""
    return {
        "lattice": structure.lattice.matrix.tolist(),
        "species": [
            [[each.symbol, getattr(each, "oxi_state", None), float(share)] for each, share in site.species.items()]
            for site in structure
        ],
        "frac_coords": structure.frac_coords.tolist(),
        "labels": list(structure.labels),
    }


def structure_of(plain: dict[str, Any]) -> Structure:
    """Return the crystal that `plain_structure` wrote down.

    Raises:
        ValueError: If it holds no elements; anything else that is amiss raises whatever pymatgen raises.
    """
    species = [
        {
            Element(symbol) if state is None else Species(symbol, float(state)): float(share)
            for symbol, state, share in site
        }
        for site in plain["species"]
    ]
    labels = [str(label) for label in plain["labels"]]
    return Structure(Lattice(plain["lattice"]), species, plain["frac_coords"], labels=labels)


def plain_file(file: StructureFile) -> dict[str, Any]:
    """Write down what was read of a file."""
    crystal = None if file.structure is None else plain_structure(file.structure)
    return {name: getattr(file, name) for name in _PLAIN} | {"notes": list(file.notes), "structure": crystal}


def file_of(plain: dict[str, Any]) -> StructureFile:
    """Return what `plain_file` wrote down."""
    return StructureFile(
        **{name: str(plain[name]) for name in _PLAIN},
        structure=None if plain["structure"] is None else structure_of(plain["structure"]),
        notes=tuple(map(str, plain["notes"])),
    )
