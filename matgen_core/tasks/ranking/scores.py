"""Score phase fields with a checkpoint and rank them, with what the members of an ensemble say of it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from matgen_core.checkpoint import Checkpoint
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.levels import PHASE_FIELD
from matgen_core.networks.models.capabilities import Scorer
from matgen_core.representations import ElementFeatures


def scorer(checkpoint: Checkpoint) -> tuple[Scorer, ElementFeatures]:
    """Return the model and the representation of a checkpoint that scores phase fields.

    Raises:
        ValueError: If it scores something else.
    """
    model, representation = checkpoint.model, checkpoint.representation
    if not isinstance(model, Scorer) or not isinstance(representation, ElementFeatures):
        raise ValueError(f"{checkpoint.name} does not score phase fields; take one of the level {PHASE_FIELD.key!r}")
    return model, representation


@torch.inference_mode()
def score_places(model: Scorer, representation: ElementFeatures, places: NDArray[np.integer]) -> NDArray[np.float32]:
    """Score fields given as rows of the element table.

    Args:
        model: What scores.
        representation: Its elements and their features.
        places: Rows of the table in slot order (`ElementFeatures.sort`), (n_fields, n_slots).

    Returns:
        One column a member, (n_fields, n_members).
    """
    return model.score(torch.from_numpy(representation.table), torch.from_numpy(places)).numpy()


def score(checkpoint: Checkpoint, fields: Sequence[PhaseField]) -> NDArray[np.float32]:
    """Score fields of the size that the checkpoint was trained on, (n_fields, n_members).

    Raises:
        ValueError: If a field has another size or an element without features.
    """
    model, representation = scorer(checkpoint)
    return score_places(model, representation, representation.places(fields))


def misfits(checkpoint: Checkpoint, fields: Sequence[PhaseField]) -> list[str]:
    """Say of each field why a checkpoint cannot score it; "" if it can."""
    return scorer(checkpoint)[1].misfits(fields)


def rank(checkpoint: Checkpoint, fields: Sequence[PhaseField]) -> pd.DataFrame:
    """Rank fields by their mean score over the members.

    Args:
        checkpoint: A checkpoint that scores phase fields.
        fields: Fields of its size; a field that comes twice is ranked once.

    Returns:
        One row a field, most familiar first: phase_field, score, rank (1 = most alike), known (in the
        training data), unseen_elements (in no training field); with two members or more also score_std over
        them and rank_low, rank_high, the 5 to 95 % range of the ranks that the members give.

    Raises:
        ValueError: If there are no fields, or one does not fit the model.
    """
    if not fields:
        raise ValueError("no phase fields to rank; give at least one, such as Li-Sn-S-Cl")
    fields = list(dict.fromkeys(fields))
    scores = score(checkpoint, fields)
    known = known_fields(checkpoint)
    seen = {symbol for field in known for symbol in field}
    mean = scores.mean(axis=1)
    table = pd.DataFrame(
        {
            "phase_field": [field.write() for field in fields],
            "score": mean,
            "rank": ranks_of(mean),
            "known": [field in known for field in fields],
            "unseen_elements": [" ".join(symbol for symbol in field if symbol not in seen) for field in fields],
        }
    )
    if scores.shape[1] > 1:
        member_ranks = np.apply_along_axis(ranks_of, 0, scores)
        low, high = np.quantile(member_ranks, (0.05, 0.95), axis=1)
        table.insert(2, "score_std", scores.std(axis=1, ddof=1))
        table.insert(4, "rank_low", np.floor(low).astype(int))
        table.insert(5, "rank_high", np.ceil(high).astype(int))
    return table.sort_values(["rank", "phase_field"], ignore_index=True)


def known_fields(checkpoint: Checkpoint) -> set[PhaseField]:
    """Return the fields that the checkpoint was trained on."""
    if checkpoint.index is None:
        return set()
    return set(map(PhaseField.read, checkpoint.index[PHASE_FIELD.column]))


@torch.inference_mode()
def contributions(checkpoint: Checkpoint, field: PhaseField) -> pd.DataFrame:
    """Return what each element adds to the score of a field: columns element, contribution."""
    model, representation = scorer(checkpoint)
    places = representation.places([field])
    parts = model.contributions(torch.from_numpy(representation.table), torch.from_numpy(places))[0]
    return pd.DataFrame({"element": [representation.elements[i] for i in places[0]], "contribution": parts.numpy()})


def every_field(representation: ElementFeatures, elements: Sequence[str]) -> NDArray[np.int64]:
    """Return the places of every field of distinct elements that can be made of `elements`, in slot order.

    Raises:
        ValueError: If an element has no features.
    """
    place = {symbol: i for i, symbol in enumerate(representation.elements)}
    unknown = [symbol for symbol in elements if symbol not in place]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: this model has no features for these elements")
    rows = np.array(sorted((place[symbol] for symbol in elements), key=lambda i: representation.order[i]))
    return rows[_combinations(len(rows), representation.n_slots)]


def _combinations(n: int, k: int) -> NDArray[np.int64]:
    """All increasing k-tuples of range(n), (n choose k, k), without a Python loop over them."""
    tuples = np.arange(n)[:, None]
    for _ in range(k - 1):
        last = tuples[:, -1]
        n_more = n - 1 - last
        starts = np.repeat(np.cumsum(n_more) - n_more, n_more)
        following = np.repeat(last, n_more) + 1 + np.arange(n_more.sum()) - starts
        tuples = np.column_stack([np.repeat(tuples, n_more, axis=0), following])
    return tuples


def ranks_of(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the rank of each score, (n,): 1 for the lowest; equal scores get equal ranks."""
    return 1 + np.searchsorted(np.sort(scores), scores, side="left")
