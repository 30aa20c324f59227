"""One generator on the scoreboard: shares of all that was asked for, each with how far chance alone may move it.

The names are those of LeMat-GenBench (arXiv:2512.04562) where the measures are the same: uniqueness, novelty,
stability, metastability, SUN, MSUN. The protocol is not theirs: here one potential relaxes what is judged, and the
hull is that of the Materials Project's own energies.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import pandas as pd

REFERENCES = "formation_references"  # the checkpoint with reference energies, known phases and the scoreboard


@dataclass(frozen=True)
class Protocol:
    """How crystals are judged.

    Attributes:
        potential: What relaxes them.
        second: What is asked where the first finds an energy that is impossibly low; "" for nobody.
        max_force: eV/Å, end of a relaxation.
        max_steps: Likewise.
        frames: Steps that are kept for a player.
    """

    potential: str = "7net-0"
    second: str = "7net-l3i5"
    max_force: float = 0.05
    max_steps: int = 300
    frames: int = 24

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Return the protocol among the settings of a work."""
        return cls(**{each.name: settings[each.name] for each in fields(cls)})


@dataclass(frozen=True)
class Measure:
    """One column of the scoreboard.

    Attributes:
        key: As results are stored.
        title: As people read it.
        meaning: In one sentence.
        is_share: Of all that was asked for; else a number with a unit.
    """

    key: str
    title: str
    meaning: str
    is_share: bool = True


MEASURES = (
    Measure("made", "made", "a crystal came out at all"),
    Measure("valid", "valid", "no distance below 1 Å or 0.6 of the radii sum, and 3 to 100 Å^3/atom"),
    Measure("unique", "unique", "not the same as one before it"),
    Measure("novel", "novel", "no known crystal of the Materials Project data matches it"),
    Measure("stability", "stable", "relaxed, it lies on the hull of known phases or below (0 eV/atom)"),
    Measure("metastability", "within 0.1 eV/atom", "relaxed, it lies at most 0.1 eV/atom above that hull"),
    Measure("sun", "S.U.N.", "stable, unique, novel and valid"),
    Measure("msun", "S.U.N. within 0.1", "the same within 0.1 eV/atom"),
    Measure("msun_common", "without f block", "the same, and no lanthanide or actinide in it"),
    Measure("volume_kept", "volume kept", "its volume was within 10 % of the relaxed one"),
    Measure("smact_valid", "charges", "charges can add up by SMACT's rule, which alloys pass"),
    Measure("displacement", "moved, Å", "median of how far sites moved when it was relaxed", is_share=False),
    Measure("hull_median", "above hull, eV/atom", "median of the distance, of those that were checked", is_share=False),
)


def score(table: pd.DataFrame, protocol: Protocol) -> dict[str, Any]:
    """Count a table of `sets.table_of`.

    Returns:
        n, by what protocol, and for each of MEASURES its share or median; for shares `KEY_low` and `KEY_high`, Wilson's
        95 % interval. What could not be told at all, as novelty without known crystals, is None.
    """
    n = len(table)
    holds = {
        "made": table["made"],
        "valid": table["valid"],
        "unique": table["unique"],
        "novel": table["novel"],
        "stability": table["stable"],
        "metastability": table["near_stable"],
        "sun": table["sun"],
        "msun": table["msun"],
        "msun_common": table["msun_common"],
        "volume_kept": table["volume_kept"],
        "smact_valid": table["smact_valid"],
    }
    found: dict[str, Any] = {"n": n, "protocol": asdict(protocol)}
    for key, column in holds.items():
        if key in ("novel", "sun", "msun", "msun_common") and column.isna().all():
            found |= {key: None, f"{key}_low": None, f"{key}_high": None}
            continue
        count = int(column.eq(True).sum())
        low, high = wilson(count, n)
        found |= {key: count / n, f"{key}_low": low, f"{key}_high": high}
    found["displacement"] = _median(table["displacement"])
    found["hull_median"] = _median(table["energy_above_hull"])
    return found


def wilson(count: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22, 209 (1927))."""
    from scipy.stats import binomtest  # most of a second to import

    found = binomtest(count, n).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)


def _median(column: pd.Series) -> float | None:
    known = column.dropna().astype(float)
    return None if known.empty else float(known.median())
