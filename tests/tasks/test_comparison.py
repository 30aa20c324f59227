"""Several rankers on the same fields, and the ranks that stand beside the field of the study."""

from dataclasses import replace

import numpy as np
import pytest

from matgen_core import checkpoint
from matgen_core.materials.fields import PhaseField
from matgen_core.tasks import ranking
from matgen_core.tasks.ranking.baselines import PairCoOccurrence

MADE = ranking.MADE.write()


@pytest.fixture(scope="module")
def vae() -> checkpoint.Checkpoint:
    return checkpoint.load("phase_field_vae")


@pytest.fixture(scope="module")
def norm() -> checkpoint.Checkpoint:
    return checkpoint.load("phase_field_norm")


def test_each_ranker_ranks_as_it_does_alone(vae: checkpoint.Checkpoint, norm: checkpoint.Checkpoint) -> None:
    fields = ranking.STUDY.fields(ranking.known_fields(vae))
    table = ranking.compare([vae, norm], fields)
    assert ranking.rankers_of(table) == ["phase_field_norm", "pair_co_occurrence"]
    alone = ranking.rank(norm, fields).set_index("phase_field")
    beside = table.set_index("phase_field")
    np.testing.assert_allclose(beside["phase_field_norm_score"], alone.loc[beside.index, "score"])
    assert list(beside["phase_field_norm_rank"]) == list(alone.loc[beside.index, "rank"])
    assert list(table["phase_field"]) == list(ranking.rank(vae, fields)["phase_field"])
    listed = [PhaseField.read(text) for text in table["phase_field"]]
    counted = PairCoOccurrence(sorted(ranking.known_fields(vae)))(listed)
    assert list(table["pair_co_occurrence_rank"]) == [1 + int((counted < each).sum()) for each in counted]


def test_the_field_of_the_study_has_the_ranks_of_the_stored_figures(
    vae: checkpoint.Checkpoint, norm: checkpoint.Checkpoint
) -> None:
    table = ranking.compare([vae, norm], ranking.STUDY.fields(ranking.known_fields(vae)))
    ours, published, pairs = ranking.standings(table, MADE, vae.name)
    stored = vae.metrics["candidates"]
    assert (ours.rank, [ours.low, ours.high], ours.n) == (
        stored["rank_of_Li-Sn-S-Cl"],
        stored["rank_range_of_Li-Sn-S-Cl"],
        stored["n_candidates"],
    )
    assert published.rank == norm.metrics["reproduction"]["rank_of_Li-Sn-S-Cl"]
    assert pairs.ranker == "pair_co_occurrence"
    low, high = stored["rank_range_of_Li-Sn-S-Cl"]
    assert ours.in_words() == f"rank {ours.rank:.0f} of {ours.n}, 90 % interval {low} to {high}"
    assert ranking.rank_of_made(vae.metrics) == f"{ours.rank:.0f} of {ours.n} (90 % interval {low} to {high})"
    assert ranking.rank_of_made(norm.metrics) == f"{published.rank:.0f}"
    assert ranking.rank_of_made({}) == ""
    assert ranking.standings(table, "K-Na-O-S", vae.name) == []


def test_a_field_that_another_ranker_cannot_score_has_no_rank_there(
    vae: checkpoint.Checkpoint, norm: checkpoint.Checkpoint
) -> None:
    known = norm.representation
    few = [each for each in known.elements if each != "Sn"]  # type: ignore[union-attr]
    rows = [known.elements.index(each) for each in few]  # type: ignore[union-attr]
    small = replace(known, elements=tuple(few), table=known.table[rows])  # type: ignore[call-overload, union-attr]
    other = replace(norm, name="other", representation=small)
    fields = [PhaseField.read(text) for text in (MADE, "Cl-Li-S-Si", "Li-O-P-S")]
    table = ranking.compare([vae, other], fields)
    made = table["phase_field"] == MADE
    assert table.loc[made, "other_rank"].isna().all()
    assert sorted(table.loc[~made, "other_rank"]) == [1, 2]
    found = next(each for each in ranking.standings(table, MADE, vae.name) if each.ranker == "other")
    assert (found.in_words(), found.n) == ("not ranked", 2)


def test_why_rankers_differ_is_told_by_their_own_figures(
    vae: checkpoint.Checkpoint, norm: checkpoint.Checkpoint
) -> None:
    told = ranking.why_they_differ([vae, norm])
    for each in (vae, norm):
        assert f"{each.metrics['evidence'][ranking.HARDEST]['auc']['mean']:.2f} ({each.name})" in told
    assert "error of restoring" in told
    assert "distance from the average" in told


@pytest.mark.parametrize(("n_anions", "share"), [(0, 0), (1, 0), (2, 0.7), (3, 0.0)])
def test_known_fields_with_as_many_anions_are_counted(norm: checkpoint.Checkpoint, n_anions: int, share: float) -> None:
    alike, n = ranking.known_alike(norm, replace(ranking.STUDY, n_anions=n_anions))
    assert n == len(ranking.known_fields(norm))
    by_hand = sum(
        sum(each in ranking.STUDY.anions for each in field) == n_anions for field in ranking.known_fields(norm)
    )
    assert alike == by_hand
    assert alike >= share * n
