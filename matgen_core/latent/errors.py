"""What the error of a material in an index means: each model measures its own kind, and the index names it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class ErrorKind:
    """One kind of error.

    Attributes:
        key: As an index stores it in the column `error_kind`.
        label: What pages call it.
        unit: Its unit, "" where it has none to show.
        is_score: Whether fields are ranked by it.
        text: What it is, in words that stand beside it.
        parts: What the contributions of the elements add up to.
        returns: Whether an error of 0 says that a material comes back; a score never says so.
        in_words: What 0 and 1 are called where it knows no other values.
    """

    key: str
    label: str = "Reconstruction error"
    unit: str = ""
    is_score: bool = False
    text: str = ""
    parts: str = ""
    returns: bool = False
    in_words: tuple[str, str] | None = None


FROM_AVERAGE = ErrorKind(
    "distance_from_average",
    label="Score",
    unit="no unit",
    is_score=True,
    text="distance from the average element",
    parts="squared score",
)
RESTORATION = ErrorKind(
    "restoration",
    label="Score",
    unit="nats",
    is_score=True,
    text="error of restoring each element from the others",
    parts="score",
)
WRONG_COUNTS = ErrorKind("wrong_counts", unit="atoms", returns=True)
COMES_BACK, LOST = "comes back", "does not come back"
NO_MATCH = ErrorKind("no_match", label="Reconstruction", returns=True, in_words=(COMES_BACK, LOST))
ERROR_KINDS: dict[str, ErrorKind] = {kind.key: kind for kind in (FROM_AVERAGE, RESTORATION, WRONG_COUNTS, NO_MATCH)}


def error_kind(index: pd.DataFrame) -> ErrorKind:
    """Return what the errors of an index are.

    Raises:
        ValueError: If it has none, or of a kind that is not known here.
    """
    if "error_kind" not in index or not len(index):
        raise ValueError("this index holds no errors, so nothing is said of how well its materials are known")
    key = str(index["error_kind"].iloc[0])
    if key not in ERROR_KINDS:
        raise ValueError(f"errors of the kind {key!r}; known: {', '.join(ERROR_KINDS)}")
    return ERROR_KINDS[key]


def returned(index: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which materials of an index come back from their latent points, (n,); all where nothing is said of it."""
    if "error_kind" not in index or not error_kind(index).returns:
        return np.ones(len(index), bool)
    return (index["error"] == 0).to_numpy()
