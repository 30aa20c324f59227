"""Predicted properties of formulas: what they are called, their units, and which checkpoint predicts them."""

from collections.abc import Iterable, Sequence

from matgen_core.materials.properties import LABELS, UNITS
from matgen_core.tasks import prediction
from pages._parts.shared import widgets

_TITLES = {"probability": "Probability of 2D"}
_SHORT = {  # over narrow columns
    "formation_energy_per_atom": "E form.",
    "volume_per_atom": "Volume",
    "energy_per_atom": "Energy",
    "band_gap": "Gap",
    "probability": "P(2D)",
}


def plain_title(name: str) -> str:
    """Return what a property is called."""
    label = _TITLES.get(name) or LABELS.get(name, name.replace("_", " "))
    return label[0].upper() + label[1:]


def unit(name: str) -> str:
    """Return the unit of a property; "" if it has none."""
    return UNITS.get(name, "").replace("^3", "³")


def title_of(name: str) -> str:
    """Return what a property is called, with its unit."""
    return _with_unit(plain_title(name), name)


def short_title(name: str) -> str:
    """Return what stands over a narrow column, with the unit."""
    return _with_unit(_SHORT.get(name, plain_title(name)), name)


def predicted_by(checkpoint: str) -> tuple[str, ...]:
    """Return the properties that a checkpoint predicts of a formula; none if it predicts none."""
    model = widgets.read(checkpoint).model
    return model.properties if isinstance(model, prediction.FormulaPredictor) else ()


def predictor_label(checkpoint: str) -> str:
    """Say what a checkpoint predicts, and which it is."""
    titles = [plain_title(each) for each in predicted_by(checkpoint)]
    if not titles:
        return checkpoint
    return f"{', '.join([titles[0], *(title[0].lower() + title[1:] for title in titles[1:])])} · {checkpoint}"


def with_predictors_of(properties: Iterable[str], chosen: Sequence[str], able: Sequence[str]) -> tuple[str, ...]:
    """Add to some predictors those that properties need, each the first of those able."""
    predictors = list(chosen)
    for name in properties:
        if not any(name in predicted_by(each) for each in predictors):
            predictors += [each for each in able if name in predicted_by(each)][:1]
    return tuple(predictors)


def _with_unit(title: str, name: str) -> str:
    return f"{title} ({unit(name)})" if unit(name) else title
