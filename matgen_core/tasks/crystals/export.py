"""A selection of crystals as one file: what the model decodes of each, and a table that leaves none out."""

import io
import zipfile
from collections.abc import Callable, Sequence

import pandas as pd

from matgen_core.data.structure_export import cif, distinct_names
from matgen_core.jobs.files.csv_cells import csv_text
from matgen_core.latent.map import LatentMap
from matgen_core.latent.space import BATCH_SIZE

MOST_CRYSTALS = 500  # decoded at once: a minute or two on two cores

_README = """CIF files of decoded crystals: what the model {name} makes of the latent points of known crystals.
They are reconstructions, not the crystals of the data set, and nothing here was relaxed or checked for stability.
table.csv has a row for every crystal of the selection; those that do not decode have their reason there, and no file.
selection.json says what was drawn and searched to choose them.
"""


def cif_zip(
    space: LatentMap,
    table: pd.DataFrame,
    rows: Sequence[int],
    about: str = "{}",
    progress: Callable[[int], None] | None = None,
) -> bytes:
    """Decode known crystals from their latent points and pack them.

    Args:
        space: Where the points are.
        table: As `map_columns.known_materials` gives it.
        rows: Which of its rows.
        about: JSON that says how they were chosen.
        progress: Called with the number of crystals done.

    Returns:
        A zip with a CIF for each crystal that decodes, table.csv (a row for every one: file or problem),
        selection.json and README.txt.

    Raises:
        ValueError: If there are none or more than `MOST_CRYSTALS`.
    """
    if not 0 < len(rows) <= MOST_CRYSTALS:
        raise ValueError(f"{len(rows):,} crystals; from 1 to {MOST_CRYSTALS} are decoded at once, so select fewer")
    chosen = table.iloc[list(rows)]
    stems = distinct_names([f"{key}_{name}" for key, name in zip(chosen["key"], chosen["name"], strict=True)])
    files, problems = [], []
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for start in range(0, len(rows), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            for stem, decoded in zip(stems[part], space.reconstruct(rows[part]), strict=True):
                files.append("" if decoded.problem else f"{stem}.cif")
                problems.append(decoded.problem or "")
                if not decoded.problem:
                    archive.writestr(files[-1], cif(decoded.material))
            if progress:
                progress(len(files))
        listed = chosen[["id", "formula"]].assign(file=files, problem=problems)
        archive.writestr("table.csv", csv_text(listed))
        archive.writestr("selection.json", about)
        archive.writestr("README.txt", _README.format(name=space.name))
    return packed.getvalue()
