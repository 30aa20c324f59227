"""Phase-field rankings: enumeration, scores and the evidence for them."""

import gc
from itertools import combinations
from math import comb

import numpy as np
import pytest

from matgen_core import checkpoint
from matgen_core.materials.fields import ANIONS, PhaseField
from matgen_core.tasks import ranking
from matgen_core.tasks.ranking.baselines import ElementFrequency, PairCoOccurrence
from matgen_core.tasks.ranking.evidence import controls, cross_validate, enrichment, hold_out, roc_auc

CATIONS = ("B", "Mg", "Al", "Si", "P", "K", "Ca", "Zn", "Sr", "Y", "Zr", "Sn", "Ba", "Ta", "La")
STUDY_ANIONS = ("S", "O", "Cl", "Br", "I", "N", "F")


def test_the_study_of_the_paper_is_enumerated() -> None:
    norm = checkpoint.load("phase_field_norm")
    every = ranking.enumerate_fields(["Li"], CATIONS, STUDY_ANIONS)
    unexplored = ranking.enumerate_fields(["Li"], CATIONS, STUDY_ANIONS, known=ranking.known_fields(norm))
    assert len(every) == 15 * comb(7, 2)
    assert len(unexplored) == 303
    assert all("Li" in field and len(set(field)) == 4 for field in unexplored)


def test_published_scores_of_the_candidates() -> None:
    """Places, scores and names as published (Vasylenko 2021, the authors' table of 303 candidates)."""
    published = {
        1: ("Cl-Li-S-Si", 9.779),
        5: ("Cl-Li-S-Sn", 10.094),
        8: ("Li-O-P-S", 10.174),
        20: ("Br-Li-S-Sn", 10.417),
    }
    norm = checkpoint.load("phase_field_norm")
    fields = ranking.enumerate_fields(["Li"], CATIONS, STUDY_ANIONS, known=ranking.known_fields(norm))
    table = ranking.rank(norm, fields).set_index("rank")
    for place, (name, score) in published.items():
        assert table.loc[place, "phase_field"] == name
        assert table.loc[place, "score"] == pytest.approx(score, abs=0.001)
    assert table.loc[303, "phase_field"] == "F-K-Li-N"
    assert table.loc[303, "score"] == pytest.approx(15.809, abs=0.001)


def test_fields_are_listed_in_order_and_the_collector_works_again() -> None:
    fields = ranking.enumerate_fields(["Li"], ["Zn", "K"], ["S", "O", "Cl"])
    assert all(isinstance(field, PhaseField) for field in fields)
    assert [field.write() for field in fields] == sorted("-".join(sorted(set(field))) for field in fields)
    assert gc.isenabled()


def test_enumeration_counts_required_anions_as_anions() -> None:
    fields = ranking.enumerate_fields(["Li", "S"], ["Al", "Si"], ["S", "O", "Cl"])
    assert {frozenset(field) for field in fields} == {
        frozenset({"Li", "S", metal, anion}) for metal in ("Al", "Si") for anion in ("O", "Cl")
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(must=["Li"], cations=["Qq"], anions=["O"]), "'Qq' is no element"),
        (dict(must=["Li", "Na", "K"], cations=[], anions=["O", "S"]), "has no place for them"),
        (dict(must=[], cations=["Na"], anions=["O"], n_elements=9), "a field has 2 to 8 elements"),
        (
            dict(
                must=[],
                cations=[f"{s}" for s in "H He Li Be B C Ne Na Mg Al Si Ar K Ca Sc Ti V Cr Mn Fe Co Ni".split()]
                + "Cu Zn Ga Ge Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Xe Cs Ba La Ce Pr Nd Pm Sm".split(),
                anions=["N", "P", "As", "O", "S", "Se"],
                n_elements=7,
            ),
            "at most 5,000,000",
        ),
    ],
)
def test_an_impossible_enumeration_says_why(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ranking.enumerate_fields(**arguments)


def test_the_score_of_every_field_equals_the_score_of_each() -> None:
    norm = checkpoint.load("phase_field_norm")
    model, representation = ranking.scorer(norm)
    symbols = ["Li", "Na", "Sn", "S", "Cl", "O"]
    places = ranking.every_field(representation, symbols)
    assert len(places) == comb(6, 4)
    every = {
        frozenset(representation.elements[i] for i in row): score
        for row, score in zip(places, ranking.score_places(model, representation, places), strict=True)
    }
    for field in combinations(symbols, 4):
        np.testing.assert_allclose(every[frozenset(field)], ranking.score(norm, [PhaseField(field)])[0], rtol=1e-6)


def test_contributions_of_the_norm_add_up_to_the_squared_score() -> None:
    norm = checkpoint.load("phase_field_norm")
    parts = ranking.contributions(norm, PhaseField.read("Cl-Li-S-Sn"))
    assert parts["contribution"].sum() == pytest.approx(10.094**2, abs=0.02)
    by_element = parts.set_index("element")["contribution"]
    assert by_element["Li"] == pytest.approx(56.72, abs=0.01)  # |z(Li)|^2 over the published features


def test_rank_needs_fields_and_ranks_each_once() -> None:
    norm = checkpoint.load("phase_field_norm")
    with pytest.raises(ValueError, match="no phase fields to rank"):
        ranking.rank(norm, [])
    table = ranking.rank(norm, [PhaseField.read(text) for text in ("Li-Sn-S-Cl", "Cl-Li-S-Sn", "Li-K-F-N")])
    assert table["phase_field"].to_list() == ["Cl-Li-S-Sn", "F-K-Li-N"]
    assert table["rank"].to_list() == [1, 2]


def test_elements_that_no_training_field_holds_are_named() -> None:
    norm = checkpoint.load("phase_field_norm")
    fields = [PhaseField.read(text) for text in ("Li-Kr-S-Cl", "Li-Sn-S-Cl")]
    table = ranking.rank(norm, fields).set_index("phase_field")
    assert table.loc["Cl-Kr-Li-S", "unseen_elements"] == "Kr"
    assert table.loc["Cl-Li-S-Sn", "unseen_elements"] == ""


def test_roc_auc_counts_pairs() -> None:
    rng = np.random.default_rng(1)
    low, high = rng.integers(0, 9, 40).astype(float), rng.integers(2, 12, 50).astype(float)
    wins = (low[:, None] < high).mean() + 0.5 * (low[:, None] == high).mean()
    assert roc_auc(low, high) == pytest.approx(wins)


def test_enrichment_of_a_perfect_and_of_a_blind_ranking() -> None:
    known, random = np.arange(10.0), 100 + np.arange(990.0)
    assert enrichment(known, random, 0.01) == pytest.approx(100)
    assert enrichment(random[50::100] + 0.5, random, 0.1) == pytest.approx(1, abs=0.1)


def toy_fields() -> list[PhaseField]:
    """Fields with a rule: A goes with S, B with Cl, never crosswise."""
    one = [("Li", metal, "S", anion) for metal in ("Na", "Mg", "Al", "Si", "K", "Ca") for anion in ("O", "Se", "Te")]
    two = [("Zn", metal, "Cl", anion) for metal in ("Na", "Mg", "Al", "Si", "K", "Ca") for anion in ("Br", "I", "F")]
    return [PhaseField(field) for field in one + two]


def test_controls_are_unknown_distinct_and_keep_their_promises() -> None:
    known = toy_fields()
    drawn = controls(known, 200, seed=3)
    for fields in drawn.values():
        assert len(fields) == 200
        assert not set(fields) & set(known)
        assert all(len(set(field)) == 4 for field in fields)
    assert all(sum(s in ANIONS for s in field) == 2 for field in drawn["same_kind"])
    counts = {s: sum(s in field for field in drawn["same_counts"]) for s in ("Li", "S", "O", "Br")}
    for symbol, count in counts.items():
        expected = 200 * sum(symbol in field for field in known) / len(known)
        assert count == pytest.approx(expected, rel=0.25)
    assert drawn == controls(known, 200, seed=3)
    assert drawn != controls(known, 200, seed=4)


def test_pair_co_occurrence_finds_the_rule_that_frequency_cannot() -> None:
    known = toy_fields()
    pairs = cross_validate(lambda fields, fold: PairCoOccurrence(fields), known)
    frequency = cross_validate(lambda fields, fold: ElementFrequency(fields), known)
    assert pairs["same_counts"]["auc"]["mean"] > 0.95
    assert frequency["same_counts"]["auc"]["mean"] < 0.6


def test_held_out_fields_are_never_trained_on() -> None:
    known, seen = toy_fields(), []

    def train_on(fields, fold):
        seen.append(set(fields))
        return lambda queries: np.array([0.0 if query in seen[-1] else 1.0 for query in queries])

    result = cross_validate(train_on, known)
    assert result["same_kind"]["auc"]["mean"] == 0.5  # a ranker that only remembers learns nothing
    assert set.union(*seen) == set(known)


def test_an_element_without_features_is_named_when_every_field_is_asked_for() -> None:
    _, representation = ranking.scorer(checkpoint.load("phase_field_norm"))
    with pytest.raises(ValueError, match="H, Og: this model has no features"):
        ranking.every_field(representation, ["Li", "H", "S", "Og", "Cl"])


def test_one_group_held_out_is_judged_as_a_fold_is_with_an_interval() -> None:
    known = toy_fields()
    training, held_out = [field for i, field in enumerate(known) if i % 4], known[::4]
    found = hold_out(PairCoOccurrence(training), training, held_out)
    assert (found["n_training"], found["n_held_out"]) == (len(training), len(held_out))
    low, high = found["same_counts"]["auc_95"]
    assert 0.9 < low <= found["same_counts"]["auc"] <= high <= 1
    assert low < high
    blind = hold_out(lambda fields: np.zeros(len(fields)), training, held_out)
    assert blind["same_counts"]["auc_95"] == [0.5, 0.5]
    assert hold_out(PairCoOccurrence(training), training, held_out) == found  # seeded


def test_the_verdict_tells_the_harder_split_too() -> None:
    evidence = {control: {"auc": {"mean": 0.9}} for control in ranking.CONTROLS}
    lower = {control: {"auc": {"mean": 0.5}} for control in ranking.CONTROLS}
    metrics = {"evidence": evidence, "baselines": {"pair_co_occurrence": lower}}
    split = {"ranker": {"same_counts": {"auc": 0.6}}, "pair_co_occurrence": {"same_counts": {"auc": 0.7}}}
    said = ranking.verdict(metrics | {"pseudo_time": split})
    assert said.startswith("In cross-validation: It beats pair co-occurrence against every kind of random field.")
    assert said.endswith("it does not beat pair co-occurrence: AUC 0.600 against 0.700.")
    split["ranker"]["same_counts"]["auc"] = 0.8
    assert "it beats pair co-occurrence: AUC 0.800" in ranking.verdict(metrics | {"pseudo_time": split})
