"""Texts of small structure files, with one thing about them odd."""

from collections.abc import Sequence

from matgen_core.data.structure_files import StructureFile, read_content

SALT_ROWS = ("Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 1")
ALL_COLUMNS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
LABELS_ALONE = ("label", "fract_x", "fract_y", "fract_z")
FACES = ("x,y,z", "x,y+1/2,z+1/2", "x+1/2,y,z+1/2", "x+1/2,y+1/2,z")


def cif_text(
    rows: Sequence[str] = SALT_ROWS,
    head: str = "",
    cell: Sequence[object] = (5.64, 5.64, 5.64, 90, 90, 90),
    operations: Sequence[str] | None = FACES,
    columns: Sequence[str] = ALL_COLUMNS,
    name: str = "salt",
) -> str:
    """A block: tags of `head`, the cell, operations if there are any, and the rows of sites."""
    tags = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"data_{name}", head, *(f"_cell_{tag} {value}" for tag, value in zip(tags, cell, strict=True))]
    if operations is not None:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{operation}'" for operation in operations)]
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns), *rows, ""]
    return "\n".join(lines)


def poscar_text(
    scale: str = "1",
    symbols: str | None = "Na Cl",
    counts: str = "4 4",
    mode: str = "Direct",
    sites: Sequence[str] | None = None,
    edge: str = "5.64",
    title: str = "salt",
) -> str:
    """Rock salt as POSCAR."""
    places = ("0 0 0", ".5 .5 0", ".5 0 .5", "0 .5 .5", ".5 .5 .5", "0 0 .5", "0 .5 0", ".5 0 0")
    cell = [f"{edge} 0 0", f"0 {edge} 0", f"0 0 {edge}"]
    lines = [title, scale, *cell, *([symbols] if symbols is not None else []), counts, mode]
    return "\n".join([*lines, *(places if sites is None else sites), ""])


def frame_text(
    cation: str = "Na", comment: str = 'Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3', count: str = "2"
) -> str:
    """A frame of extended XYZ with two atoms."""
    return f"{count}\n{comment}\n{cation} 0 0 0\nCl 2 2 2\n"


def read_one(name: str, text: str | bytes) -> StructureFile:
    """Read a text that holds one crystal, or one reason why it holds none."""
    [found] = read_content(name, name, text.encode() if isinstance(text, str) else text)
    assert (found.structure is None) == bool(found.problem)
    assert "\n" not in found.problem + found.note
    return found


def formula_of(found: StructureFile) -> str:
    """What a cell holds, "Na4 Cl4"; "" if there is none."""
    return "" if found.structure is None else found.structure.composition.formula
