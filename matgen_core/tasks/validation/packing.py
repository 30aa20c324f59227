"""A judged work as one file: a table that leaves none out, and each crystal before and after it was relaxed."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from matgen_core.data.structure_export import cif, distinct_names
from matgen_core.jobs.files.csv_cells import csv_text
from matgen_core.tasks.validation import judging
from matgen_core.tasks.validation.inputs import Candidate

_README = """table.csv has a row for every crystal that was asked for, with verdicts, reasons and what made it.
before/ holds the crystals as they were given, after/ what they relaxed to; those without a file have a problem there.
Distances to the hull are predictions of a potential; the table says of how many known crystals such a one is true.
"""


def file_stems(candidates: Sequence[Candidate]) -> list[str]:
    """Return a name for a file of each crystal; no two are alike."""
    return distinct_names([Path(each.name.replace("/", "_").replace(":", "_")).stem for each in candidates])


def packed(
    candidates: Sequence[Candidate],
    table: pd.DataFrame,
    rests: Sequence[Mapping[str, Any]],
    origin: Mapping[str, str],
) -> bytes:
    """Pack a judged work.

    Args:
        candidates: All that were asked for.
        table: A row each.
        rests: What is kept beside each.
        origin: As `tasks.origin.origin` gives it; stands in every row.

    Returns:
        A zip with table.csv, README.txt, and a CIF in before/ and after/ for each crystal that there is.
    """
    before: list[str] = []
    after: list[str] = []
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for stem, each, rest in zip(file_stems(candidates), candidates, rests, strict=True):
            relaxed = judging.structure_of(rest["relaxed"]) if rest.get("relaxed") else None
            for folder, structure, files in (("before", each.structure, before), ("after", relaxed, after)):
                files.append("" if structure is None else f"{folder}/{stem}.cif")
                if structure is not None:
                    archive.writestr(files[-1], cif(structure))
        notes = [each.note for each in candidates]
        archive.writestr("table.csv", csv_text(table.assign(before=before, after=after, note=notes, **origin)))
        archive.writestr("README.txt", _README)
    return held.getvalue()
