"""The one way in which an index is made: materials, their errors, maps with their grades, latent points."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from matgen_core.latent.errors import ErrorKind
from matgen_core.latent.projection import projections
from matgen_core.latent.space import Z


def build_index(
    table: pd.DataFrame,
    points: Z | None = None,
    seed: int = 0,
    error: NDArray[np.floating] | None = None,
    kind: ErrorKind | None = None,
) -> pd.DataFrame:
    """Lay out the index of a checkpoint.

    Args:
        table: One row a material: what tells which it is, and what is known of it.
        points: Latent points, or where a critic sees the materials, (n, n_coordinates). They are stored in float16,
            and the maps are made of what is stored. Without them there are no maps.
        seed: Of the maps.
        error: How far each material is from coming back, (n,).
        kind: What the errors are.

    Returns:
        The table; `error` and `error_kind`; of each projection two coordinates, faithfulness and stability; `z`.

    Raises:
        ValueError: If errors come without their kind, or the other way round.
    """
    if (error is None) != (kind is None):
        raise ValueError("errors need their kind, and a kind needs errors; give both or neither")
    parts = [table.reset_index(drop=True)]
    if error is not None and kind is not None:
        parts.append(pd.DataFrame({"error": np.asarray(error, np.float32), "error_kind": kind.key}))
    if points is None:
        return pd.concat(parts, axis=1)
    parts.append(projections(points.astype(np.float16).astype(np.float32), seed))
    return with_points(pd.concat(parts, axis=1), points)


def with_points(table: pd.DataFrame, points: Z) -> pd.DataFrame:
    """Add latent points to a table of materials as the column `z` of an index, in float16."""
    return table.assign(z=list(points.astype(np.float16)))
