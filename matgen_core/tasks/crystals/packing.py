"""The samples of a generator as one file: a CIF of each, and a table that leaves none out."""

import io
import zipfile
from collections.abc import Mapping, Sequence

import pandas as pd

from matgen_core.data.structure_export import cif
from matgen_core.jobs.files.csv_cells import csv_text
from matgen_core.tasks.crystals.sampling import Sample

_README = """table.csv has a row for every sample that was asked for, with verdicts, reasons and what made it; one that
decoded to no crystal has its reason there, and no file. Nothing here was relaxed or checked for stability:
matgen validate FOLDER --out OUT does both, and counts the failed ones.
"""


def packed(made: Sequence[Sample], table: pd.DataFrame, origin: Mapping[str, str], source: str) -> bytes:
    """Pack samples.

    Args:
        made: The samples.
        table: As `sampling.table` gives it.
        origin: As `tasks.origin.origin` gives it; stands in every row.
        source: What made them, in a line that stands in every CIF.

    Returns:
        A zip with table.csv, README.txt, and a CIF for each sample that is a crystal.
    """
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in made:
            if each.structure is not None:
                archive.writestr(f"{each.name}.cif", cif(each.structure, f"{each.name}; {source}"))
        archive.writestr("table.csv", csv_text(table.assign(**origin)))
        archive.writestr("README.txt", _README)
    return held.getvalue()
