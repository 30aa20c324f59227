"""The table of a whole work for a page, made in a process apart: comparing the crystals of visitors may take long."""

import atexit
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from matgen_core.jobs.bounded import Bounded, BoundedError, Limits
from matgen_core.tasks.validation.inputs import Candidate
from matgen_core.tasks.validation.sets import table_of

OF_THE_SET = ("valid", "smact_valid", "unique", "novel", "sun", "msun", "msun_common")
_LIMITS = Limits(seconds=240, megabytes=4_000)


def _plain_table(
    candidates: Sequence[Candidate], rows: Sequence[Mapping[str, Any]], rests: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    table = table_of(candidates, rows, rests).astype(object)
    return {
        "columns": list(table),
        "rows": [[_plain(value) for value in row] for row in table.itertuples(index=False, name=None)],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if value is pd.NA or value != value else value  # NaN is not equal to itself


FUNCTIONS: Mapping[str, Callable[..., Any]] = {"table": _plain_table}
_WORKERS = Bounded(__name__, 1, _LIMITS)
atexit.register(_WORKERS.close)


def table_apart(
    candidates: Sequence[Candidate], rows: Sequence[Mapping[str, Any]], rests: Sequence[Mapping[str, Any]]
) -> tuple[pd.DataFrame, str]:
    """Return what `sets.table_of` does, and "".

    Where that takes too much time or memory: the rows without what only the set tells, and why.

    Raises:
        BusyError: If it was not tried.
    """
    slim = [{"relaxed": rest["relaxed"]} if rest.get("relaxed") else {} for rest in rests]
    problem = ""
    try:
        found = _WORKERS.call("table", list(candidates), list(rows), slim)
        table = pd.DataFrame(found["rows"], columns=found["columns"], dtype=object)
    except BoundedError as error:
        problem = f"not compared with each other and with known crystals: {error}"
        table = table_alone(candidates, rows)
    for name in table.columns:
        if name not in OF_THE_SET:
            table[name] = table[name].infer_objects()
    return table, problem


def table_alone(candidates: Sequence[Candidate], rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the rows of single crystals as a table; what only the set tells is None."""
    table = pd.DataFrame([dict(row) for row in rows], dtype=object)
    table.insert(0, "name", [each.name for each in candidates])
    table.insert(1, "made", [each.structure is not None for each in candidates])
    return table.assign(**dict.fromkeys(OF_THE_SET))
