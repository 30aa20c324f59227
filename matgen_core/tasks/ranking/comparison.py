"""Several rankers on the same fields, and why they differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.errors import error_kind
from matgen_core.materials.fields import PhaseField
from matgen_core.tasks.ranking.baselines import PairCoOccurrence
from matgen_core.tasks.ranking.choice import Choice
from matgen_core.tasks.ranking.rankers import HARDEST, PAIRS
from matgen_core.tasks.ranking.scores import known_fields, misfits, rank, ranks_of


@dataclass(frozen=True)
class Standing:
    """Where a ranker puts one field among others.

    Attributes:
        ranker: Its name.
        score: Of the field; lower is more like known chemistry.
        rank: From 1; NaN where the field is not among the others.
        n: How many fields it ranks.
        low: First rank of the 5 to 95 % range over the members; NaN without members.
        high: Last rank of that range.
    """

    ranker: str
    score: float
    rank: float
    n: int
    low: float = float("nan")
    high: float = float("nan")

    def in_words(self) -> str:
        """Write the rank: "rank 5 of 303, 90 % interval 3 to 9"."""
        if np.isnan(self.rank):
            return "not ranked"
        words = f"rank {self.rank:,.0f} of {self.n:,}"
        return words if np.isnan(self.low) else f"{words}, 90 % interval {self.low:,.0f} to {self.high:,.0f}"


def compare(checkpoints: Sequence[Checkpoint], fields: Sequence[PhaseField]) -> pd.DataFrame:
    """Rank fields by several rankers, and by pairs of elements, the baseline that is hard to beat.

    Args:
        checkpoints: The first gives the order and the columns without a name; each scores phase fields.
        fields: Fields of the size of the first; a ranker of another size, or without an element, leaves theirs empty.

    Returns:
        As `rank` of the first, and for every other ranker its name followed by `_score`, `_rank`, and with members
        `_rank_low` and `_rank_high`; the last is `pair_co_occurrence`, counted in the known fields of the first.

    Raises:
        ValueError: As `rank` of the first.
    """
    first, *others = checkpoints
    table = rank(first, fields)
    listed = [PhaseField.read(text) for text in table["phase_field"]]
    for other in others:
        fits = np.array([not problem for problem in misfits(other, listed)])
        if not fits.any():
            continue
        found = rank(other, [field for field, fit in zip(listed, fits, strict=True) if fit])
        columns = [each for each in ("score", "rank", "rank_low", "rank_high") if each in found]
        found = found.set_index("phase_field")[columns].reindex(table["phase_field"])
        table = table.assign(**{f"{other.name}_{each}": found[each].to_numpy() for each in columns})
    known = sorted(known_fields(first))
    if known:
        counted = PairCoOccurrence(known)(listed)
        table = table.assign(**{f"{PAIRS}_score": counted, f"{PAIRS}_rank": ranks_of(counted)})
    return table


def rankers_of(table: pd.DataFrame) -> list[str]:
    """Return the rankers beside the first in a table of `compare`."""
    return [each.removesuffix("_score") for each in table if each.endswith("_score")]


def standings(table: pd.DataFrame, field: str, first: str) -> list[Standing]:
    """Return where each ranker of a table of `compare` puts one of its fields; [] if it is not in it.

    Args:
        table: As `compare` gives it.
        field: As `PhaseField.write` writes it.
        first: Name of the ranker that gave the order.
    """
    rows = table[table["phase_field"] == field]
    if rows.empty:
        return []
    row = rows.iloc[0]
    found = []
    for name, before in [(first, ""), *((each, f"{each}_") for each in rankers_of(table))]:
        low, high = (row.get(f"{before}{end}", np.nan) for end in ("rank_low", "rank_high"))
        n = int(table[f"{before}rank"].notna().sum())
        found.append(Standing(name, float(row[f"{before}score"]), float(row[f"{before}rank"]), n, low, high))
    return found


def why_they_differ(checkpoints: Sequence[Checkpoint]) -> str:
    """Say in two sentences what each ranker measures, and how much of chemistry each has been shown to see."""
    asks = [f"{each.name} takes the {error_kind(each.index).text}" for each in checkpoints if each.index is not None]
    areas = [
        f"{each.metrics['evidence'][HARDEST]['auc']['mean']:.2f} ({each.name})"
        for each in checkpoints
        if HARDEST in each.metrics.get("evidence", {})
    ]
    seen = (
        " Told from random fields with the very same elements, a known field stands first with a chance of"
        f" {' and '.join(areas)}: 0.50 sees nothing of which elements go together."
    )
    return f"Rankers differ since they ask different things: {', '.join(asks)}.{seen if areas else ''}"


def known_alike(checkpoint: Checkpoint, choice: Choice) -> tuple[int, int]:
    """Count the known fields of a ranker with as many anions as are asked for, and all of them."""
    known = known_fields(checkpoint)
    anions = frozenset(choice.anions)
    return sum(sum(symbol in anions for symbol in field) == choice.n_anions for field in known), len(known)
