"""Structures as files: CIF, POSCAR, extended XYZ, a zip of them, chemiscope's JSON."""

import io
import json
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from matgen_core import __version__
from matgen_core.materials.report import symmetry

_EXACT = 1e-3  # Å; nearer, a site stands at its symmetric place, and the operations say where the others are
_LONGEST_REMARK = 1_000  # letters; a line of a CIF may have twice as many
_PER_CELL = 24  # translations of space groups are multiples of this part of an edge


def cif(structure: Structure, source: str = "") -> str:
    """Write CIF: with its symmetry where the cell is a setting of its space group, else every site in P 1.

    Nothing is moved by more than a thousandth of an Å. Where the symmetry holds within 0.1 Å only, or this cell is no
    setting of the group, a remark names it.

    Args:
        structure: Any structure.
        source: Where it comes from and how it was made, for the remark on the first line.
    """
    group = symmetry(structure)
    found = group.problem or _asymmetric(structure, group.number)
    said = group.summary
    written, multiplicities = structure, [1] * len(structure)
    if not isinstance(found, str):
        written, multiplicities = found[0], found[1]
    file = CifWriter(written, significant_figures=8).cif_file
    ((_, block),) = file.data.items()
    formula, units = structure.composition.get_reduced_formula_and_factor()
    block.data["_chemical_formula_structural"] = formula
    block.data["_chemical_formula_sum"] = structure.composition.formula
    block.data["_cell_formula_units_Z"] = str(int(units))
    block.data["_cell_volume"] = f"{structure.volume:.8f}"
    if isinstance(found, str):
        said += "" if group.problem else f" within 0.1 Å; written in P 1, since {found}" if found else ""
    else:
        setting = found[2]
        operations = [operation.triplet() for operation in setting.operations()]
        block.data["_symmetry_space_group_name_H-M"] = setting.xhm()
        block.data["_symmetry_Int_Tables_number"] = str(setting.number)
        block.data["_symmetry_equiv_pos_site_id"] = [str(i) for i in range(1, len(operations) + 1)]
        block.data["_symmetry_equiv_pos_as_xyz"] = operations
    _label_sites(block, written, multiplicities)
    lines = str(file).splitlines()[1:]  # the first says that pymatgen wrote it
    return "\n".join([f"# {_author(source)}", f"# space group {_remark(said)}", *lines, ""])


def _author(source: str) -> str:
    return f"written by MatGen Explorer {__version__}" + (f", from {_remark(source)}" if source else "")


def _remark(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST_REMARK]


def _label_sites(block: Any, structure: Structure, multiplicities: Sequence[int]) -> None:
    """Give every row of sites a label of its own, and how many sites it stands for."""
    counts: Counter[str] = Counter()
    labels, rows = [], []
    for site, multiplicity in zip(structure, multiplicities, strict=True):
        for species in site.species:
            symbol = re.sub(r"[^A-Za-z]", "", getattr(species, "symbol", str(species)))
            counts[symbol] += 1
            labels.append(f"{symbol}{counts[symbol]}")
            rows.append(str(multiplicity))
    block.data["_atom_site_label"] = labels
    block.data["_atom_site_symmetry_multiplicity"] = rows


def _asymmetric(structure: Structure, number: int | None) -> tuple[Structure, list[int], Any] | str:
    """The sites from which the operations of a setting make all others, how many each stands for, and the setting.

    Else why there are none: the group holds only roughly, or this cell is none of its settings.
    """
    import gemmi
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pymatgen calls spglib in the old way
            found = SpacegroupAnalyzer(structure, symprec=_EXACT).get_symmetry_dataset()
    except (SymmetryUndeterminedError, ValueError, TypeError):
        found = None
    if number == 1:
        return ""
    if found is None or found.number != number:
        return f"its sites or its cell are more than {_EXACT:g} Å off it"
    shifts = np.asarray(found.translations) * _PER_CELL
    if np.abs(shifts - np.round(shifts)).max() > 0.01:
        return "its origin is none of the group's"
    operations = []
    for rotation, shift in zip(found.rotations.tolist(), np.round(shifts).astype(int).tolist(), strict=True):
        operation = gemmi.Op()
        operation.rot = [[gemmi.Op.DEN * int(each) for each in row] for row in rotation]
        operation.tran = [each % _PER_CELL * (gemmi.Op.DEN // _PER_CELL) for each in shift]
        operations.append(operation)
    setting = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(operations))
    if setting is None:
        return "this cell is none of its settings"
    return *_representatives(structure, setting), setting


def _representatives(structure: Structure, setting: Any) -> tuple[Structure, list[int]]:
    """One site of each orbit, in the middle of the images that fall on it, and the orbits' lengths."""
    import gemmi

    every = list(setting.operations())
    rotations = np.array([operation.rot for operation in every]) / gemmi.Op.DEN
    translations = np.array([operation.tran for operation in every]) / gemmi.Op.DEN
    left = dict(enumerate(structure))
    kept, multiplicities = [], []
    while left:
        site = left.pop(next(iter(left)))
        images = rotations @ site.frac_coords + translations
        away = images - site.frac_coords
        away -= np.round(away)
        near = np.linalg.norm(away @ structure.lattice.matrix, axis=1) < 10 * _EXACT
        place = site.frac_coords + away[near].mean(axis=0)
        kept.append((site.species, place))
        multiplicities.append(len(every) // int(near.sum()))
        for i, other in list(left.items()):
            apart = images - other.frac_coords
            apart -= np.round(apart)
            if other.species == site.species and np.linalg.norm(apart @ structure.lattice.matrix, axis=1).min() < 0.01:
                del left[i]
    metric = structure.lattice.metric_tensor
    lattice = Lattice.from_parameters(*_parameters(np.mean(rotations.transpose(0, 2, 1) @ metric @ rotations, axis=0)))
    species, places = zip(*kept, strict=True)
    return Structure(lattice, list(species), list(places)), multiplicities


def _parameters(metric: Any) -> list[float]:
    lengths = np.sqrt(np.diag(metric))
    angles = [np.degrees(np.arccos(metric[i - 2, i - 1] / lengths[i - 2] / lengths[i - 1])) for i in range(3)]
    return [*lengths.tolist(), *map(float, angles)]


def poscar(structure: Structure, source: str = "") -> str:
    """Write POSCAR in direct coordinates, sites grouped by species.

    Args:
        structure: An ordered structure.
        source: As `cif` takes it; it stands on the first line.

    Raises:
        ValueError: If a site is partially occupied, which POSCAR cannot say.
    """
    from pymatgen.io.vasp import Poscar  # a second to import

    _require_ordered(structure, "POSCAR")
    comment = f"{structure.composition.reduced_formula}, {_author(source)}"
    return Poscar(structure, comment, sort_structure=True).get_str(significant_figures=12)


def extended_xyz(structure: Structure, source: str = "") -> str:
    """Write extended XYZ with the lattice on the comment line and Cartesian coordinates in Å.

    Args:
        structure: An ordered structure.
        source: As `cif` takes it; it stands on the comment line as "origin".

    Raises:
        ValueError: If a site is partially occupied, which XYZ cannot say.
    """
    _require_ordered(structure, "extended XYZ")
    lattice = " ".join(f"{x:.10f}" for x in structure.lattice.matrix.ravel())
    rows = [
        f"{site.specie.symbol:<3}" + "".join(f" {x:16.10f}" for x in site.coords)
        for site in structure  # the columns are declared on the second line
    ]
    origin = _author(source).replace('"', "'").replace("\\", "/")  # both mean something within quotes
    comment = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T" origin="{origin}"'
    return "\n".join([str(len(structure)), comment, *rows, ""])


def distinct_names(stems: Sequence[str]) -> list[str]:
    """Make names of files, without extension: no folders, nothing hidden, no options, no two alike on any system.

    Args:
        stems: What the files should be called; where two would be alike, a number is put behind the later one.
    """
    taken: set[str] = set()
    names = []
    for stem in stems:
        plain = re.sub(r"[^\w .,+=@()#-]", "_", stem).strip(". ").lstrip("-. ")[:100] or "structure"
        name, number = plain, 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def cif_archive(structures: Sequence[tuple[str, Structure]], source: str = "") -> bytes:
    """Write a zip archive of CIF files.

    Args:
        structures: What each should be called, without extension, and the structure.
        source: Of all of them, as `cif` takes it; what each is called stands before it.
    """
    archive = io.BytesIO()
    names = distinct_names([name for name, _ in structures])
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, (called, structure) in zip(names, structures, strict=True):
            file.writestr(f"{name}.cif", cif(structure, f"{called}; {source}" if source else ""))
    return archive.getvalue()


def chemiscope_json(
    structures: dict[str, Structure], properties: dict[str, list[float]] | None = None, source: str = ""
) -> str:
    """Write the input of chemiscope.org: structures by name, with properties of each if there are any.

    Args:
        structures: Ordered structures by the name that is shown.
        properties: Columns with one number a structure; the unit belongs in the name, "Band gap (eV)".
        source: As `cif` takes it.

    Raises:
        ValueError: If a site is partially occupied, or a column has another length than `structures`.
    """
    columns = properties or {}
    for name, values in columns.items():
        if len(values) != len(structures):
            raise ValueError(f"{name}: {len(values)} values for {len(structures)} structures; give one value each")
    entries = []
    for name, structure in structures.items():
        _require_ordered(structure, f"{name}: chemiscope")
        x, y, z = np.round(structure.cart_coords, 8).T.tolist()
        names = [site.specie.symbol for site in structure]
        cell = np.round(structure.lattice.matrix, 8).ravel().tolist()
        entries.append({"size": len(structure), "names": names, "x": x, "y": y, "z": z, "cell": cell})
    table: dict[str, dict[str, Any]] = {"name": {"target": "structure", "values": list(structures)}}
    table |= {name: {"target": "structure", "values": values} for name, values in columns.items()}
    meta = {"name": ", ".join(structures), "description": _author(source)}
    settings = {"structure": [{"unitCell": True, "bonds": True, "axes": "abc"}]}
    return json.dumps({"meta": meta, "structures": entries, "properties": table, "settings": settings}, allow_nan=False)


def _require_ordered(structure: Structure, what: str) -> None:
    if not structure.is_ordered:
        raise ValueError(f"{what} cannot hold partially occupied sites; export CIF instead")
