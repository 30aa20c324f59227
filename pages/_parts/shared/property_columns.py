"""Predicted properties of formulas: what they are called, their units, and which checkpoint predicts them."""

from collections.abc import Iterable, Sequence

from matgen_core.materials.properties import property_named
from matgen_core.tasks import prediction
from pages._parts.shared import widgets


def plain_title(name: str) -> str:
    """Return what a property is called."""
    return property_named(name).column_by_itself.label


def unit(name: str) -> str:
    """Return the unit of a property; "" if it has none."""
    return property_named(name).shown_unit


def title_of(name: str) -> str:
    """Return what a property is called, with its unit."""
    return property_named(name).column_by_itself.title


def short_title(name: str) -> str:
    """Return what stands over a narrow column, with the unit."""
    return property_named(name).narrow_column.title


def predicted_by(checkpoint: str) -> tuple[str, ...]:
    """Return the properties that a checkpoint predicts of a formula; none if it predicts none."""
    return prediction.formula_properties(widgets.read(checkpoint))


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
