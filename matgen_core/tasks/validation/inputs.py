"""What is to be judged: crystals of files, and the samples of a generator that failed to be one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pymatgen.core import Element, Structure

from matgen_core.data import StructureFile, read_structures
from matgen_core.data.structure_files.plain import plain_structure, structure_of
from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.cells import Cells

NO_ELEMENT = "a site holds no element"
TABLE = "table.csv"  # beside the files of a generator: a row for every sample, failed ones too


@dataclass(frozen=True, eq=False)
class Candidate:
    """One crystal that was asked for.

    Attributes:
        name: Of the file or the sample.
        structure: The crystal; None where there is none.
        problem: Why there is none, or why it cannot be judged.
        note: What was done or guessed to read it.
    """

    name: str
    structure: Structure | None
    problem: str = ""
    note: str = ""

    @property
    def can_be_judged(self) -> bool:
        """Whether it is an ordered crystal."""
        return self.structure is not None and not self.problem


def candidates_of(paths: Sequence[Path]) -> list[Candidate]:
    """Read crystals from files and folders; of a folder of samples, those that were not decoded have their place, too.

    Raises:
        ValueError: If a path is not there, or nothing in it is a structure file.
    """
    found: list[Candidate] = []
    for path in paths:
        samples = _samples(path)
        found += of_files(read_structures([path]))
        if samples is not None:
            failed = samples[~samples["decoded"].astype(bool)]
            problems = failed["problem"] if "problem" in failed else pd.Series("", failed.index)
            found += [
                Candidate(f"sample {sample}", None, f"not decoded: {problem}")
                for sample, problem in zip(failed["sample"], problems.fillna(""), strict=True)
            ]
    return found


def of_structures(names: Sequence[str], structures: Sequence[Structure]) -> list[Candidate]:
    """Take crystals that are there already."""
    return [_candidate(name, structure, "", ()) for name, structure in zip(names, structures, strict=True)]


def of_files(files: Sequence[StructureFile]) -> list[Candidate]:
    """Take crystals that were read from files; what could not be read has its place, too."""
    return [_candidate(each.name, each.structure, each.problem, each.notes) for each in files]


def plain(candidate: Candidate) -> dict[str, Any]:
    """Write down what is not kept as a piece of work: of a crystal that is judged its name and note alone."""
    structure = candidate.structure
    is_kept = structure is not None and not candidate.can_be_judged and candidate.problem != NO_ELEMENT
    return {
        "name": candidate.name,
        "problem": candidate.problem,
        "note": candidate.note,
        "is_piece": candidate.can_be_judged,
        "structure": plain_structure(structure) if is_kept and structure is not None else None,
    }


def from_plain(written: Mapping[str, Any], judged: Structure | None) -> Candidate:
    """Return what `plain` wrote down, with the crystal that is judged where it is one."""
    kept = written["structure"]
    structure = judged if kept is None else structure_of(kept)
    return Candidate(written["name"], structure, written["problem"], written["note"])


def save_cells(candidates: Sequence[Candidate], path: Path) -> int:
    """Write the crystals that can be judged, in their order, for `python -m matgen_core.networks.potentials`.

    Returns:
        How many there are.

    Raises:
        ValueError: If there is none.
        OSError: If the file cannot be written.
    """
    crystals = [each.structure for each in candidates if each.can_be_judged and each.structure is not None]
    if not crystals:
        raise ValueError("no crystal here can be relaxed")
    tensors.save(cells_of(crystals), path)
    return len(crystals)


def cells_of(crystals: Sequence[Structure]) -> Cells:
    """Return ordered crystals end to end, as potentials take them."""
    return Cells.of(
        ([site.specie.Z for site in each], each.lattice.matrix, each.frac_coords % 1.0) for each in crystals
    )


def _candidate(name: str, structure: Structure | None, problem: str | None, notes: Sequence[str]) -> Candidate:
    why = problem or ""
    if structure is not None and not structure.is_ordered:
        why = "some sites are partially occupied; order the structure first"
    elif structure is not None and not all(
        isinstance(getattr(site.specie, "element", site.specie), Element) for site in structure
    ):
        why = NO_ELEMENT
    elif structure is not None:
        structure = structure.copy(site_properties={})
        structure.remove_oxidation_states()
    return Candidate(name, structure, why, "; ".join(notes))


def _samples(path: Path) -> pd.DataFrame | None:
    """The table that a generator wrote beside its files, if this is its folder."""
    if not (path / TABLE).is_file():
        return None
    from matgen_core.data.tables import read_csv

    rows = read_csv(path / TABLE).rows
    if not {"sample", "decoded"} <= set(rows):
        return None
    return rows.assign(decoded=rows["decoded"].str.lower().eq("true"))
