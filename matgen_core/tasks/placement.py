"""Where a person's own crystals lie among those that a model knows, and how far the answer can be trusted.

Nothing here changes the map: a point is placed among its true neighbors, and what the model has never seen the like
of is said to be so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Structure

from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks import Verdict, distance_check
from matgen_core.checks.sets import same_structure
from matgen_core.data import StructureFile
from matgen_core.latent.map import LatentMap
from matgen_core.latent.space import Z
from matgen_core.tasks.prediction import with_deviation
from matgen_core.tasks.reconstruction import reconstruct
from matgen_core.tasks.remarks import remark_on

N_NEIGHBORS = 6
N_TRIED = 8  # files with which models are compared: to find a standard cell takes some hundredths of a second


@dataclass(frozen=True, eq=False)
class Placement:
    """What a model makes of one crystal.

    Attributes:
        file: The crystal as it was read.
        novel: Whether it matches no known structure; undecided where the data set is not here.
        problem: Why it has no place in the model; "" if it has one, and then what follows is there.
        drawn: The crystal in the cell that the model draws.
        z: Its latent point.
        rows: Rows of the nearest known materials in `LatentMap.index`, nearest first.
        distances: Their distances in the latent space.
        percentile: `LatentMap.distance_percentile`.
        decoded: What its point decodes to.
        comes_back: Whether that matches the crystal.
        deviation: Mean deviation of the sites in Å, NaN where it does not come back.
        reason: Why it does not come back.
    """

    file: StructureFile
    novel: Verdict
    problem: str = ""
    drawn: Structure | None = None
    z: Z | None = None
    rows: tuple[int, ...] = ()
    distances: tuple[float, ...] = ()
    percentile: float = float("nan")
    decoded: Structure | None = None
    comes_back: bool = False
    deviation: float = float("nan")
    reason: str = ""


def reader_for(
    files: Sequence[StructureFile], chosen: str, models: Sequence[str], representation: Callable[[str], Any]
) -> tuple[str, str]:
    """Choose the model that reads some files: the one that is chosen, unless another reads more of them.

    Args:
        files: Only the first N_TRIED crystals among them are looked at.
        chosen: The model that is chosen.
        models: All that could be; where several read equally many, the first.
        representation: Returns that of a model by its name; asked of others only if the chosen one does not read all.

    Returns:
        The name of the model, and a line that says why it is another one, "" if it is not.
    """
    crystals = [file.structure for file in files if file.structure is not None][:N_TRIED]
    first = [_refusal(representation(chosen), each) for each in crystals]
    read = {chosen: first.count("")}
    if read[chosen] == len(crystals):
        return chosen, ""
    for name in models:
        if name != chosen:
            read[name] = [_refusal(representation(name), each) for each in crystals].count("")
    best = max(read, key=lambda name: (read[name], name == chosen))
    if best == chosen:
        return chosen, ""
    reason = next(filter(None, first))
    of = f"{read[best]} of {len(crystals)}" if len(crystals) > 1 else "it"
    return best, f"{best} was taken, which reads {of}. {chosen} reads {read[chosen] or 'none'}: {reason}"


def _refusal(representation: Any, structure: Structure) -> str:
    """Why a crystal cannot be drawn; "" if it can."""
    try:
        representation.standardize(structure)
    except ValueError as error:
        return str(error)
    return ""


@dataclass(frozen=True, eq=False)
class KnownCrystals:
    """The crystals of the data set that a model learned from, as far as they are here.

    Attributes:
        data_set: Its name.
        crystals: By material id, those with the formula of a crystal that is placed.
        problem: Why they cannot be read; "" if they can.
    """

    data_set: str
    crystals: dict[str, Structure] = field(default_factory=dict)
    problem: str = ""


def known_crystals(checkpoint: Checkpoint, files: Sequence[StructureFile]) -> KnownCrystals:
    """Read what is known of the formulas of some crystals, from the data set that a model learned from."""
    data_set = next(iter(checkpoint.provenance.get("datasets", {})), "").split("/")[0]
    return known_in(data_set, [file.structure for file in files if file.structure is not None])


def known_in(data_set: str, structures: Sequence[Structure]) -> KnownCrystals:
    """Read what a data set holds of the formulas of some crystals."""
    try:
        crystals = data.load_crystals_like(data_set, structures)
    except ValueError as error:
        return KnownCrystals(data_set, problem=str(error))
    return KnownCrystals(data_set, crystals)


def novelty(structure: Structure, known: KnownCrystals, notes: Sequence[str] = ()) -> Verdict:
    """Say whether a crystal is new: true if no known structure of its formula matches it, with the reason.

    Undecided where nothing matches a crystal that cannot be as it is: two sites too near each other, or something
    that was guessed as it was read.

    Args:
        structure: The crystal.
        known: What `known_crystals` read for it.
        notes: What was done to read it.
    """
    if known.problem:
        return Verdict(None, known.problem)
    if not structure.is_ordered:
        return Verdict(None, "partially occupied sites cannot be compared")
    formula = structure.composition.reduced_formula
    alike = {key: each for key, each in known.crystals.items() if each.composition.reduced_formula == formula}
    for key, each in alike.items():
        if same_structure(structure, each):
            return Verdict(False, f"matches {key} of {known.data_set}")
    others = f"matches none of the {len(alike)} structures of {formula}" if alike else f"no {formula}"
    nothing = f"{others} in {known.data_set}"
    distances = distance_check()(structure)
    if distances.passed is False:
        return Verdict(None, f"{nothing}, but its sites are too near each other: {distances.reason}")
    if notes:
        return Verdict(None, f"{nothing}, but it had to be guessed at: {notes[0]}")
    return Verdict(True, nothing)


Judge = Callable[[Structure, KnownCrystals, Sequence[str]], Verdict]


def place(
    space: LatentMap,
    files: Sequence[StructureFile],
    known: KnownCrystals,
    progress: Callable[[int], None] | None = None,
    judge: Judge = novelty,
) -> list[Placement]:
    """Place crystals in the latent space of a model, one result a file whatever becomes of it.

    Args:
        space: Of a model that encodes and decodes crystals.
        files: Crystals, or the reason why there is none.
        known: What `known_crystals` read for them.
        progress: Called with the number of crystals decoded.
        judge: What says whether a crystal is new; given what `novelty` is given.
    """
    made = reconstruct(space, files, progress)
    there = [row for row, z in enumerate(made.z) if z is not None]
    z = np.array([made.z[row] for row in there], np.float32).reshape(len(there), space.latent_dim)
    features = space.features_of(z)
    nearest = dict(zip(there, zip(*space.neighbors(features, N_NEIGHBORS), strict=True), strict=True))
    percentiles = dict(zip(there, space.distance_percentile(features), strict=True))
    placements = []
    for row, (file, record) in enumerate(zip(files, made.table.to_dict("records"), strict=True)):
        novel = Verdict(None, file.problem) if file.structure is None else judge(file.structure, known, file.notes)
        if row not in nearest:
            placements.append(Placement(file, novel, problem=record["reason"]))
            continue
        distances, rows = nearest[row]
        placements.append(
            Placement(
                file,
                novel,
                drawn=made.inputs[row],
                z=made.z[row],
                rows=tuple(rows.tolist()),
                distances=tuple(distances.tolist()),
                percentile=float(percentiles[row]),
                decoded=made.structures[row],
                comes_back=bool(record["match"]),
                deviation=float(record["site_error"]),
                reason=record["reason"],
            )
        )
    return placements


def placement_table(placements: Sequence[Placement], known: pd.DataFrame) -> pd.DataFrame:
    """Lay out placements, a row each, also of the files that were skipped.

    Args:
        placements: What `place` returns.
        known: As `map_columns.known_materials` gives it, of the same model.

    Returns:
        Columns file, formula, n_sites, nearest (formula of the nearest known crystal), nearest_id, distance,
        percentile, novel (True, False or None), novel_reason, comes_back, deviation (Å), and problem: why a file was
        skipped, has no place, or does not come back; and note: what was done or guessed to read it, and
        sites too near each other.
    """
    rows = []
    for each in placements:
        structure = each.file.structure
        near = known.iloc[each.rows[0]] if each.rows else None
        rows.append(
            {
                "file": each.file.name,
                "formula": "" if structure is None else structure.composition.reduced_formula,
                "n_sites": None if structure is None else len(structure),
                "nearest": "" if near is None else near["name"],
                "nearest_id": "" if near is None else near["key"],
                "distance": each.distances[0] if each.distances else np.nan,
                "percentile": each.percentile,
                "novel": each.novel.passed,
                "novel_reason": "" if structure is None else each.novel.reason,
                "comes_back": each.comes_back if each.rows else None,
                "deviation": each.deviation,
                "problem": each.problem or each.reason,
                "note": remark_on(each.file),
            }
        )
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.astype({"n_sites": "Int64", "novel": "boolean", "comes_back": "boolean"})


_COLUMNS = [
    "file",
    "formula",
    "n_sites",
    "nearest",
    "nearest_id",
    "distance",
    "percentile",
    "novel",
    "novel_reason",
    "comes_back",
    "deviation",
    "problem",
    "note",
]


def with_properties(table: pd.DataFrame, properties: pd.DataFrame, as_text: bool = False) -> pd.DataFrame:
    """Add predicted properties to a table of placements.

    Args:
        table: As `placement_table` gives it.
        properties: As `prediction.property_table` gives it, with the files' names as structures.
        as_text: For reading: one column each, "Band gap (eV)" with "1.23 ± 0.05". Otherwise two columns of
            numbers each, the second with " ±" behind its name.
    """
    for (name, unit), rows in properties.groupby(["property", "unit"], sort=False):
        title = f"{name} ({unit})" if unit else str(name)
        columns = {title: rows["value"], f"{title} ±": rows["std"]}
        if as_text:
            pairs = zip(rows["value"], rows["std"], strict=True)
            columns = {title: [with_deviation(value, std) for value, std in pairs]}
        for column, values in columns.items():
            table = table.assign(**{column: table["file"].map(dict(zip(rows["structure"], values, strict=True)))})
    return table


def positions(space: LatentMap, placements: Sequence[Placement], projection: str) -> list[tuple[float, float]]:
    """Return where crystals that have a latent point fall on a stored projection, in order."""
    z = [each.z for each in placements if each.z is not None]
    if not z:
        return []
    return [(float(x), float(y)) for x, y in space.place(space.features_of(np.stack(z)), projection)]
