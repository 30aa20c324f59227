"""What a chemist asks for: which fields follow, and what each exclusion takes away."""

import pytest

from matgen_core import checkpoint
from matgen_core.latent.errors import error_kind
from matgen_core.materials.elements import check_elements, every_element
from matgen_core.materials.fields import PhaseField
from matgen_core.tasks import ranking
from matgen_core.tasks.ranking import EXCLUSIONS, STUDY, Choice


@pytest.fixture(scope="module")
def norm() -> checkpoint.Checkpoint:
    return checkpoint.load("phase_field_norm")


def test_the_study_asks_for_its_303_candidates(norm: checkpoint.Checkpoint) -> None:
    fields = STUDY.fields(ranking.known_fields(norm))
    assert len(fields) == 303
    table = ranking.rank(norm, fields)
    assert list(table["phase_field"][:5]) == ["Cl-Li-S-Si", "Cl-Li-S-Zn", "Al-Cl-Li-S", "Cl-Li-Mg-S", "Cl-Li-S-Sn"]


@pytest.mark.parametrize(
    "choice",
    [
        STUDY,
        Choice(("Li", "S"), ("Mg", "Al", "O", "Cl"), ("O", "S", "Cl"), 4, 2),
        Choice(("Li", "S"), ("Li", "S", "Mg", "Al", "O", "Cl"), ("O", "S", "Cl"), 4, 2),
        Choice((), ("Mg", "Al", "Si", "O", "Cl"), ("O", "Cl"), 3, 1),
        Choice(("O", "S", "Cl"), ("Mg", "Al"), ("O", "S", "Cl"), 4, 2),
    ],
)
def test_the_count_is_the_number_of_fields(choice: Choice) -> None:
    if choice.n_fields():
        assert choice.n_fields() == len(choice.fields())
    else:
        with pytest.raises(ValueError, match="has no place for them"):
            choice.fields()


def test_the_funnel_adds_up_and_each_step_counts_what_it_took(norm: checkpoint.Checkpoint) -> None:
    known, elements = ranking.known_fields(norm), norm.representation.elements  # type: ignore[attr-defined]
    steps = ranking.funnel(STUDY, elements, known)
    assert (steps["left"].shift(1)[1:] - steps["removed"][1:] == steps["left"][1:]).all()
    assert steps["left"].iloc[-1] == 303
    without_toxic = Choice(STUDY.must, tuple(set(elements) - {"Li", *EXCLUSIONS["toxic"].elements}), STUDY.anions)
    alone = ranking.funnel(without_toxic, elements, ()).set_index("step")
    everything = Choice(STUDY.must, tuple(set(elements) - {"Li"}), STUDY.anions)
    assert alone.loc["Toxic", "removed"] == len(everything.fields()) - len(without_toxic.fields())
    assert list(alone.index) == ["every element that the model knows", "Toxic", "Known: in the training data"]


def test_sets_hold_elements_and_nothing_twice() -> None:
    for chosen in [*ranking.ELEMENT_SETS.values(), *EXCLUSIONS.values()]:
        assert check_elements(chosen.elements) == list(chosen.elements)
        assert set(chosen.elements) <= set(every_element())


def _evidence(auc: float) -> dict[str, dict[str, dict[str, float]]]:
    parts = {"auc": {"mean": auc, "std": 0.01}, "enrichment_1": {"mean": 2.0}, "enrichment_5": {"mean": 1.5}}
    return {control: dict(parts) for control in ranking.CONTROLS}


def test_the_verdict_names_what_was_not_beaten() -> None:
    metrics = {"evidence": _evidence(0.8), "baselines": {"pair_co_occurrence": _evidence(0.7)}}
    assert ranking.verdict(metrics) == "It beats pair co-occurrence against every kind of random field."
    metrics["evidence"]["same_counts"]["auc"] = {"mean": 0.7, "std": 0.0}
    assert f"does not beat pair co-occurrence against {ranking.CONTROLS['same_counts']}." in ranking.verdict(metrics)
    metrics["baselines"]["element_frequency"] = _evidence(0.9)
    assert "does not beat element frequency against any kind" in ranking.verdict(metrics)
    assert "no held-out evidence" in ranking.verdict({})


def test_a_mean_over_the_fields_of_an_element(norm: checkpoint.Checkpoint) -> None:
    table = ranking.rank(norm, [PhaseField(["Cl", "Li", "S", "Sn"]), PhaseField(["Li", "Mg", "O", "S"])])
    rows = ranking.by_element(table).set_index("element")
    assert rows.loc["S", "mean_score"] == pytest.approx(table["score"].mean())
    assert rows.loc["Sn", "mean_score"] == table.set_index("phase_field").loc["Cl-Li-S-Sn", "score"]
    assert rows.loc["S", "n_fields"] == 2
    assert rows.loc["S", "best_rank"] == 1


def test_every_scorer_says_what_its_score_means() -> None:
    for name in checkpoint.names():
        if "score" in checkpoint.summary(name)["capabilities"]:
            model = checkpoint.load(name)
            field = PhaseField(["Cl", "Li", "S", "Sn"])
            meaning, parts = error_kind(model.index), ranking.contributions(model, field)
            score = ranking.score(model, [field]).mean()
            expected = {"score": score, "squared score": score**2}[meaning.parts]
            assert parts["contribution"].sum() == pytest.approx(expected, rel=1e-4)
