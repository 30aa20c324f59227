"""Capabilities: what each model can do, told by its methods."""

import pytest

from matgen_core.networks.models import MODELS
from matgen_core.networks.models.capabilities import (
    VERBS,
    Conditioned,
    Critic,
    LearnedPrior,
    PropertyPredictor,
    RangesKnown,
    Scorer,
)
from tests.support.tiny import TINY

ASKED = (Conditioned, Critic, LearnedPrior, PropertyPredictor, RangesKnown, Scorer)
# One of each kind; a new model needs no line here.
KINDS: dict[str, set[type]] = {
    "cgcnn": {PropertyPredictor},  # it has features, but is no critic
    "ding": {Conditioned, LearnedPrior, PropertyPredictor, RangesKnown},
    "icsg3d": {Conditioned, LearnedPrior},
    "icsg3d_paper": {Conditioned},
    "formula_lm": {Critic},
    "phase_field_vae": {Scorer},
}


@pytest.mark.parametrize("name", KINDS)
def test_a_model_can_do_what_its_methods_say(name: str) -> None:
    model = MODELS[name](TINY[name])
    assert {capability for capability in ASKED if isinstance(model, capability)} == KINDS[name]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_class_and_its_model_can_do_the_same(name: str) -> None:
    model = MODELS[name](TINY[name])
    of_class = [verb for verb, able in VERBS.items() if issubclass(MODELS[name], able)]
    assert of_class == [verb for verb, able in VERBS.items() if isinstance(model, able)]
    assert of_class
