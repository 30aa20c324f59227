"""Crystals through a model and back, one row a crystal whatever becomes of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from pymatgen.core import Structure

from matgen_core.checks.sets import evaluate_reconstruction
from matgen_core.data import StructureFile
from matgen_core.latent.map import LatentMap
from matgen_core.latent.space import Z, fitting


@dataclass(frozen=True)
class Reconstruction:
    """What became of some crystals.

    Attributes:
        structures: What each decoded to, None where there is nothing.
        inputs: Each in the cell that the model draws, None where it does not fit the model.
        z: The latent point of each, None where it has none.
        table: One row each: `input`, then the columns of `crystal_metrics.evaluate_reconstruction`.
    """

    structures: list[Structure | None]
    inputs: list[Structure | None]
    z: list[Z | None]
    table: pd.DataFrame


def reconstruct(
    space: LatentMap, files: Sequence[StructureFile], progress: Callable[[int], None] | None = None
) -> Reconstruction:
    """Encode crystals and decode them again.

    Args:
        space: Of a model that encodes and decodes crystals.
        files: Crystals, or the reason why there is none; such a row has that reason and no match.
        progress: Called with the number of crystals decoded.

    Returns:
        One row a file, in order. Errors are those against the crystal in the cell that the model draws, the
        conventional one for instance; the table's lengths and volumes mean nothing between two settings.
    """
    given = [row for row, file in enumerate(files) if file.structure is not None]
    problems = {row: file.problem for row, file in enumerate(files)}
    encoded = space.encode_in_standard_cells([files[row].structure for row in given])
    problems |= {row: each.problem or "" for row, each in zip(given, encoded, strict=True)}
    rows = [row for row in range(len(files)) if not problems[row]]
    drawn, z = fitting(encoded)
    decoded = space.decode(z, progress=progress)
    compared = evaluate_reconstruction(drawn, decoded)
    records = dict(zip(rows, compared.to_dict("records"), strict=True))
    made = dict(zip(rows, decoded, strict=True))
    nothing = dict.fromkeys(compared.select_dtypes(bool), False) | {"species_accuracy": 0.0}
    table = pd.DataFrame(
        [
            {"input": file.name} | records.get(row, nothing | {"reason": problems[row]})
            for row, file in enumerate(files)
        ],
        columns=["input", *compared.columns],
    )
    every = range(len(files))
    inputs = dict(zip(rows, drawn, strict=True))
    return Reconstruction(
        structures=[made[row].material if row in made else None for row in every],
        inputs=[inputs.get(row) for row in every],
        z=[made[row].z if row in made else None for row in every],
        table=table,
    )
