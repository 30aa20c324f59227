"""The data folder: where it is, what is installed in it, reading and writing its files."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from math import gcd
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pandas import DataFrame
from pymatgen.core import Structure

from matgen_core.data.dataset import Dataset
from matgen_core.data.publishers import PUBLISHERS
from matgen_core.data.registry import DATASETS, Source, is_name, path_of, root
from matgen_core.data.rows import structure
from matgen_core.data.tables import read_csv
from matgen_core.jobs.files.inputs import sha256_of
from matgen_core.jobs.files.outputs import whole_file
from matgen_core.jobs.files.tables import save_csv
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.levels import COMPOSITION, CRYSTAL
from matgen_core.materials.systems import chemical_system

_PROVENANCE = b"matgen_source"
# What a file that is cut off, or of another kind, can raise when it is read.
_UNREADABLE = (ValueError, KeyError, TypeError, OSError, pa.ArrowException)
_COMPOSITION = ("formula", "numbers", "phase_field")
_NUMBERS = "numbers"  # data sets that name the elements of a row by these alone have no formulas
_REPORTED = "icsd_flag"  # 1: reported, 0: calculated only, -1: not known
MEASURED = ("obelix_li_conductors",)  # data sets in which every row is a compound that was made


def load(name: str) -> Dataset:
    """Read an installed data set, registered or imported.

    Raises:
        ValueError: If the name is unknown, the file is missing, or it cannot be read.
    """
    path = path_of(name)
    if not path.is_file():
        raise ValueError(_missing(name))
    try:
        table = read_table(path)
        source = DATASETS[name] if name in DATASETS else _provenance(name, path)
    except _UNREADABLE as error:
        raise ValueError(
            f"{path}: this file of data set {name} cannot be read ({_first_line(error)}); get it again"
        ) from error
    return Dataset(name=name, table=table, source=source, sha256=sha256_of(path))


def load_crystal(name: str, material_id: str) -> Structure:
    """Read one crystal of an installed data set, without the rest of it.

    Raises:
        ValueError: If the data set is not installed or cannot be read, or holds no such crystal.
    """
    path = path_of(name)
    if not path.is_file():
        raise ValueError(_missing(name))
    try:
        numbered = pa.types.is_integer(pq.read_schema(path).field("material_id").type)
        rows = pd.read_parquet(path, filters=[("material_id", "==", int(material_id) if numbered else material_id)])
    except _UNREADABLE as error:
        raise ValueError(
            f"{path}: this file of data set {name} cannot be read ({_first_line(error)}); get it again"
        ) from error
    if rows.empty:
        raise ValueError(f"data set {name} in {root()} holds no {material_id}; it may be of another version")
    return structure(rows.iloc[0])


def load_crystals_like(name: str, materials: Iterable[Structure]) -> dict[str, Structure]:
    """Read the crystals of an installed data set that have the reduced formula of one of some structures.

    Returns:
        Crystals by material id.

    Raises:
        ValueError: If the data set is not installed or cannot be read.
    """
    path = path_of(name)
    if not path.is_file():
        raise ValueError(_missing(name))
    wanted = {reduced_counts([site.specie.Z for site in material]) for material in materials if material.is_ordered}
    try:
        by_counts = _ids_by_counts(path, path.stat().st_mtime_ns)
        ids = [each for counts in wanted for each in by_counts.get(counts, ())]
        rows = pd.read_parquet(path, filters=[("material_id", "in", ids)]) if ids else pd.DataFrame()
    except _UNREADABLE as error:
        raise ValueError(
            f"{path}: this file of data set {name} cannot be read ({_first_line(error)}); get it again"
        ) from error
    return {str(row["material_id"]): structure(row) for row in rows.to_dict("records")}


def compounds_of(symbols: Iterable[str]) -> DataFrame:
    """List the compounds of exactly some elements in the data sets that are installed here.

    Args:
        symbols: The elements.

    Returns:
        A row a reduced formula: formula, is_reported (True: the Materials Project marks it as reported in ICSD, or it
        was measured; None: not said, and it may be calculated only), data_sets (joined by ", "); reported ones first.
    """
    wanted = sorted(set(symbols))
    system = "-".join(wanted)
    # Only what these letters can write is parsed: a file has hundreds of thousands of formulas.
    pattern = f"^(?:(?:{'|'.join(wanted)})[0-9.]*|[][(){{}}0-9.])+$"
    found: dict[str, tuple[set[str], bool]] = {}
    for name, source in DATASETS.items():
        path = path_of(name)
        column = "formula" if "formula" in source.columns else source.composition_column
        if source.level not in (COMPOSITION.key, CRYSTAL.key) or column == _NUMBERS or not path.is_file():
            continue
        try:
            formulas, reported = _formulas_of(path, column, pattern)
        except _UNREADABLE:
            continue  # the list of data sets says that it cannot be read
        for text, is_reported in zip(formulas, reported, strict=True):
            if chemical_system(text) == system:
                formula = _reduced(text)
                names, before = found.get(formula, (set(), False))
                found[formula] = names | {name}, before or is_reported or name in MEASURED
    rows = [(formula, known or None, ", ".join(sorted(names))) for formula, (names, known) in found.items()]
    table = DataFrame(rows, columns=["formula", "is_reported", "data_sets"])
    return table.sort_values(["is_reported", "formula"], na_position="last", ignore_index=True)


def _reduced(text: str) -> str:
    try:
        return str(Formulas.of_text(text).reduced().texts()[0])
    except ValueError:  # amounts that are not whole stay as they are written
        return text


def _formulas_of(path: Path, column: str, pattern: str) -> tuple[list[str], list[bool]]:
    """Read the formulas of a file that a pattern fits, and whether the file marks them as reported."""
    if path.suffix == ".csv":
        table = pa.Table.from_pandas(read_table(path)[[column]].astype(str))
    else:
        there = pq.read_schema(path).names
        table = pq.read_table(path, columns=[each for each in (column, _REPORTED) if each in there])
    table = table.filter(pc.match_substring_regex(table[column], pattern))
    reported = table[_REPORTED].to_pylist() if _REPORTED in table.column_names else [0] * len(table)
    return table[column].to_pylist(), [flag == 1 for flag in reported]


def reduced_counts(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Reduce the atomic numbers of a cell to what a formula says: each with its count, without a common divisor."""
    counts = Counter(numbers)
    divisor = gcd(*counts.values())
    return tuple(sorted((int(z), n // divisor) for z, n in counts.items()))


@lru_cache(maxsize=4)
def _ids_by_counts(path: Path, changed: int) -> dict[tuple[tuple[int, int], ...], list[Any]]:
    """The material ids of each composition of a file; `changed` is its time, so that a new file is read anew."""
    table = pq.read_table(path, columns=["material_id", "numbers"])
    found: dict[tuple[tuple[int, int], ...], list[Any]] = {}
    for material_id, numbers in zip(table["material_id"].to_pylist(), table["numbers"].to_pylist(), strict=True):
        found.setdefault(reduced_counts(numbers), []).append(material_id)
    return found


def overview() -> DataFrame:
    """What is known and what is installed, one row per data set, imports after the registered ones.

    Returns:
        Columns name, title, level, rows, installed, registered_file (whether the installed file is the
        registered one; None where none is installed or none is registered), licence, source.
    """
    imported = [path.stem for path in sorted(root().glob("*.parquet")) if is_name(path.stem)]
    rows = []
    for name in [*DATASETS, *(name for name in imported if name not in DATASETS)]:
        path = path_of(name)
        installed = path.is_file()
        try:
            source = DATASETS[name] if name in DATASETS else _provenance(name, path)
        except _UNREADABLE as error:
            source = _unstated(name, path, f"Cannot be read: {_first_line(error)}", None, [])
        known = installed and source.sha256 is not None
        rows.append(
            {
                "name": name,
                "title": source.title,
                "level": source.level,
                "rows": source.rows,
                "installed": installed,
                "registered_file": sha256_of(path) == source.sha256 if known else None,
                "licence": source.licence,
                "source": source.text,
            }
        )
    return DataFrame(rows).astype({"rows": "Int64"})


def read_table(path: Path) -> DataFrame:
    """Read a CSV or parquet file; in a CSV an empty cell is missing and the text NaN is sodium nitride.

    Raises:
        ValueError: If a CSV is no table, or one of its rows cannot be read.
    """
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return read_csv(path).typed()


def write_table(table: DataFrame, path: Path, source: Source) -> None:
    """Write a table with its provenance, whole or not at all.

    A parquet file carries the source in its schema; a CSV file holds the bare table.
    """
    if path.suffix == ".parquet":
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        facts = json.dumps(asdict(source)).encode()
        described = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), _PROVENANCE: facts})
        with whole_file(path) as beside:
            pq.write_table(described, beside)
    else:
        save_csv(table, path)


def _missing(name: str) -> str:
    bring = f"matgen data import {name} PATH"
    if name not in DATASETS:
        return f"unknown data set {name!r}; known: {', '.join(DATASETS)}; add your own with: {bring}"
    if name in PUBLISHERS:
        return f"data set {name} is not in {root()}; get it with: matgen data fetch {name} (or: {bring})"
    return f"data set {name} is not in {root()}; get it from {DATASETS[name].url} and run: {bring}"


def _provenance(name: str, path: Path) -> Source:
    """The source that `write_table` put into a file, or what a parquet file of other making tells."""
    schema = pq.read_schema(path)
    facts = (schema.metadata or {}).get(_PROVENANCE)
    if facts is not None:
        stored = json.loads(facts)
        return Source(**{**stored, "defects": tuple(stored["defects"])})
    return _unstated(name, path, "A parquet file of yours", pq.read_metadata(path).num_rows, schema.names)


def _unstated(name: str, path: Path, title: str, rows: int | None, columns: list[str]) -> Source:
    return Source(
        name=name,
        file=path.name,
        title=title,
        level=(CRYSTAL if "frac_coords" in columns else COMPOSITION).key,
        rows=rows,
        columns=dict.fromkeys(columns, "not stated"),
        composition_column=next((key for key in ("formula", "numbers", "phase_field") if key in columns), "formula"),
        text="not stated",
        licence="not stated",
        url="",
        sha256=None,
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
