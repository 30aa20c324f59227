"""What is found at each step of a route, and how far it can be trusted: one row a step, failures included.

Lights judge a step: whether it decodes, distances between atoms of a crystal, its elements and volume beside those of
the ends of its way (`ends`), whether charges can add up and balance, whether a formula is known, distance to the data,
whether it comes back when a model that can encode it does so, and whether it keeps to what was asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Composition, Structure

from matgen_core import checks
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks.sets import evaluate_reconstruction
from matgen_core.latent.map import LatentMap
from matgen_core.latent.space import Decoded, Z, fitting
from matgen_core.materials import query
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.levels import COMPOSITION, CRYSTAL, PHASE_FIELD
from matgen_core.materials.properties import PROPERTIES, Column, property_named
from matgen_core.materials.report import symmetry
from matgen_core.tasks import prediction, ranking
from matgen_core.tasks.journeys.ends import End, ends_of, judged_between
from matgen_core.tasks.journeys.lights import ANSWERS, LIGHTS, Answer, Light, not_judged, sizes_of
from matgen_core.tasks.journeys.routes import Route

EDGE, OUTSIDE = 95.0, 99.0  # percentiles of the distance to the data: the edge of the data begins, the data end
_PROBABILITY = "probability"  # the column of a classifier
_FIRST, _THEN = 1, 4  # steps decoded at once: the first alone, for somebody waits for it


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a route.

    Attributes:
        number: Place on the route, from 0.
        label: What the step is, "" if it is only on the way.
        z: Its latent point, (latent_dim,).
        material: What it decodes to: a structure, a composition or a phase field; None where it decodes to nothing.
        formula: Reduced formula of a crystal, a composition as it stands, or the field as chemists write it; "" for
            nothing.
        space_group: Symbol and number, or "" where there is none to tell.
        lights: Those that apply to such a material.
        nearest: The nearest known material of the index, "SrTiO3 (mp-5229)" or a phase field.
        numbers: By column: sizes, distances, and the predicted properties with `_std`; NaN where unknown.
    """

    number: int
    label: str
    z: Z
    material: Any
    formula: str
    space_group: str
    lights: tuple[Light, ...]
    nearest: str
    numbers: dict[str, float] = field(default_factory=dict)
    scene: dict[str, Any] | None = None  # what is drawn of it, where a page has found that out
    picture: str = ""  # the same as SVG

    @property
    def answer(self) -> Answer:
        """The worst answer of all lights."""
        answers = [light.answer for light in self.lights]
        return "no" if "no" in answers else "undecided" if "undecided" in answers else "yes"

    @property
    def kept(self) -> bool:
        """Whether it decodes and keeps to what was asked for."""
        return all(light.answer == "yes" for light in self.lights if light.name in ("decodes", "elements"))


def walk(
    space: LatentMap,
    route: Route,
    properties: Sequence[Checkpoint] = (),
    elements: str = "",
) -> Iterator[Step]:
    """Decode and judge a route step by step; the first comes alone, the others a few at a time.

    Args:
        space: The latent space.
        route: Where to go.
        properties: Checkpoints that predict properties of such materials, or score phase fields.
        elements: A search line (`query.parse`) that each material has to keep to, such as "has:Li not:Pb".

    Raises:
        ValueError: At once, if the search line cannot be understood.
    """
    asked = query.parse(elements) if elements.strip() else None
    percentiles = space.distance_percentile(space.features_of(route.z), k=1)
    return _walk(space, route, percentiles, properties, asked)


def _walk(
    space: LatentMap,
    route: Route,
    percentiles: NDArray[np.float64],
    properties: Sequence[Checkpoint],
    asked: query.Query | None,
) -> Iterator[Step]:
    start, size = 0, _FIRST
    ends = ends_of(space, route)
    while start < len(route):
        part = slice(start, start + size)
        yield from _steps(space, route, part, percentiles[part], properties, asked, ends)
        start, size = part.stop, _THEN


def _steps(
    space: LatentMap,
    route: Route,
    part: slice,
    percentiles: NDArray[np.float64],
    properties: Sequence[Checkpoint],
    asked: query.Query | None,
    ends: Sequence[End],
) -> list[Step]:
    decoded = space.decode(route.z[part], None if route.condition is None else route.condition[part])
    distances, rows = space.neighbors(space.features_of(route.z[part]), 1, known_only=True)
    materials = [each.material for each in decoded if each.material is not None]
    returns = iter(_returns(space, materials) if space.encodes else ())
    predicted = iter(_properties(properties, materials))
    made = []
    for i, each in enumerate(decoded):
        number, row = part.start + i, int(rows[i, 0])
        known = space.index.iloc[row]
        level = space.level
        name = level.display(known[level.column])
        lights = [_decodes(each)]
        numbers = {"nearest_distance": float(distances[i, 0]), "percentile": float(percentiles[i])}
        formula = space_group = ""
        round_trip = not_judged("returns")
        if each.material is not None:
            if space.encodes:
                numbers["round_trip_distance"], round_trip = next(returns)
            numbers |= next(predicted)
            formula = _formula(each.material)
            if isinstance(each.material, Structure):
                found = symmetry(each.material)
                space_group = "" if found.number is None else f"{found.symbol} ({found.number})"
                numbers |= sizes_of(each.material)
        if level is COMPOSITION:
            lights += [_neutral(each), _charge(each), _known(space, each)]
        elif level is CRYSTAL:
            lights.append(_distances(each))
            if ends:
                lights += judged_between(each, number, ends)
            lights.append(_charge(each))
        lights.append(_data(space, name, float(distances[i, 0]), float(percentiles[i])))
        if space.encodes:
            lights.append(round_trip)
        if asked is not None:
            lights.append(_elements(each, asked))
        made.append(
            Step(
                number=number,
                label=route.labels[number],
                z=route.z[number],
                material=each.material,
                formula=formula,
                space_group=space_group,
                lights=tuple(lights),
                nearest=name if level is PHASE_FIELD else f"{name} ({known[level.id_column]})",
                numbers=numbers,
            )
        )
    return made


def verdict(step: Step) -> str:
    """Say in one sentence how a step was judged, the worst first."""
    if step.material is None:
        return "It decodes to no material."
    for answer, words in (("no", "Not to be trusted"), ("undecided", "With a question mark")):
        named = [LIGHTS[light.name].lower() for light in step.lights if light.answer == answer]
        if named:
            return f"{words}: {', '.join(named)}."
    return "It passes every check that was made."


def _formula(material: Any) -> str:
    if isinstance(material, Structure):
        return str(material.composition.reduced_formula)
    if isinstance(material, Composition):
        return checks.formula_of(material)
    return str(material.chemists_order())


def _decodes(decoded: Decoded) -> Light:
    if decoded.problem is None:
        return Light("decodes", "yes", "decodes", "the decoded array reads as a material")
    return Light("decodes", "no", "no material", decoded.problem.replace("^3", "³"))


def _distances(decoded: Decoded) -> Light:
    if decoded.material is None:
        return not_judged("distances")
    weak, strict = (check(decoded.material) for check in (checks.distance_check(), checks.strict_distance_check()))
    distance = sizes_of(decoded.material).get("min_distance")
    reason = strict.reason.replace("^3", "³")
    word = "no cell" if distance is None else f"{distance:.2f} Å"
    if not weak.passed:
        return Light("distances", "no", word, f"atoms overlap: {reason}")
    if not strict.passed:
        return Light("distances", "undecided", f"{word}, tight", f"unusually near: {reason}")
    return Light("distances", "yes", word, reason)


def _neutral(decoded: Decoded) -> Light:
    return _of_check("neutral", checks.neutral_check(), "neutral", "charged", decoded)


def _charge(decoded: Decoded) -> Light:
    return _of_check("charge", checks.balanced_check(), "balanced", "unbalanced", decoded)


def _of_check(name: str, check: checks.Check, passed: str, failed: str, decoded: Decoded) -> Light:
    if decoded.material is None:
        return not_judged(name)
    verdict = check(decoded.material)
    if verdict.passed is None:
        return Light(name, "undecided", "undecided", verdict.reason)
    return Light(name, "yes" if verdict.passed else "no", passed if verdict.passed else failed, verdict.reason)


def _known(space: LatentMap, decoded: Decoded) -> Light:
    if decoded.material is None:
        return not_judged("known")
    known = space.known_formulas
    of_whom = "of the data that the model learned from" if space.trained_on else "that this map shows"
    among = f"the {len(known):,} formulas {of_whom}"
    formulas = Formulas.of_compositions([decoded.material])
    if known.contains(formulas)[0]:
        return Light("known", "yes", "known", f"{formulas.reduced().texts()[0]} is among {among}")
    reason = f"{formulas.reduced().texts()[0]} is not among {among}; that does not say that nobody has made it"
    return Light("known", "undecided", "new" if space.trained_on else "not listed", reason)


def _data(space: LatentMap, nearest: str, distance: float, percentile: float) -> Light:
    reason = (
        f"{distance:.2f} from {nearest}, the nearest known material of this map in the {space.measured_in};"
        f" {percentile:.0f} % of the training materials lie nearer to their own nearest"
    )
    if percentile <= EDGE:
        return Light("data", "yes", "near the data", reason)
    if percentile <= OUTSIDE:
        return Light("data", "undecided", "at the edge", reason)
    return Light("data", "no", "off the data", reason)


def _elements(decoded: Decoded, asked: query.Query) -> Light:
    if decoded.material is None:
        return not_judged("elements")
    formula = _formula(decoded.material)
    if asked.matches(formula):
        return Light("elements", "yes", "as asked", f"{formula} keeps to {asked.text}")
    return Light("elements", "no", "not as asked", f"{formula} does not keep to {asked.text}")


def _returns(space: LatentMap, materials: Sequence[Any]) -> list[tuple[float, Light]]:
    """For each material how far from itself it lands when encoded, and whether it then decodes to itself.

    The distance is between the point of the material and that of what it comes back as; NaN where it has none.
    """
    are_crystals = all(isinstance(each, Structure) for each in materials)
    encoded = space.encode_in_standard_cells(materials) if are_crystals else space.encode(materials)
    again, z = fitting(encoded)
    decoded = space.decode(z) if again else []
    landed = space.encode([each.material for each in decoded if each.material is not None])
    second = iter(landed)
    judged = []
    for each, point, back in zip(again, z, decoded, strict=True):
        if back.material is None:
            judged.append((np.nan, Light("returns", "no", "lost", f"encoded, it decodes to nothing: {back.problem}")))
            continue
        end = next(second).z
        distance = np.nan if end is None else float(np.linalg.norm(end - point))
        judged.append((distance, _round_trip(each, back, distance)))
    found = iter(judged)
    return [
        next(found)
        if each.problem is None
        else (np.nan, Light("returns", "no", "cannot return", f"cannot be encoded: {each.problem}"))
        for each in encoded
    ]


def _round_trip(material: Any, back: Decoded, distance: float) -> Light:
    drift = "" if np.isnan(distance) else f", {distance:.2f} away in the latent space"
    if not isinstance(material, Structure):
        is_formula = isinstance(material, Composition)
        name = _formula(back.material)
        if back.material == material if is_formula else sorted(back.material) == sorted(material):
            noun = "formula" if is_formula else "field"
            return Light("returns", "yes", "returns", f"encoded and decoded again, it is the same {noun}{drift}")
        return Light("returns", "undecided", "drifts", f"encoded and decoded again, it is {name}{drift}")
    row = evaluate_reconstruction([material], [back]).iloc[0]
    if row["match"]:
        reason = f"encoded and decoded again, it is the same crystal within {row['site_error']:.2f} Å a site{drift}"
        return Light("returns", "yes", "returns", reason)
    reason = f"encoded and decoded again, it is another crystal, {_formula(back.material)}{drift}: {row['reason']}"
    return Light("returns", "undecided", "drifts", reason)


def _properties(checkpoints: Sequence[Checkpoint], materials: Sequence[Any]) -> list[dict[str, float]]:
    """Properties of each material by column, with "_std"; a column a checkpoint cannot give is missing."""
    rows: list[dict[str, float]] = [{} for _ in materials]
    if not materials:
        return rows
    for checkpoint in checkpoints:
        if isinstance(materials[0], Structure):
            table = prediction.predict(checkpoint, materials).drop(columns="problem")
        elif isinstance(materials[0], Composition):
            formulas = Formulas.of_compositions(materials)
            table = prediction.predict_formulas(checkpoint, formulas).drop(columns="problem")
            # What a probability is of, the model says: another's must not take its place.
            table.columns = table.columns.str.replace(_PROBABILITY, f"{_PROBABILITY}_{checkpoint.name}")
        else:
            scores = ranking.score(checkpoint, materials)
            table = pd.DataFrame({"score": scores.mean(axis=1)})
            if scores.shape[1] > 1:
                table["score_std"] = scores.std(axis=1, ddof=1)
        for row, values in zip(rows, table.to_dict("records"), strict=True):
            row |= {str(name): float(value) for name, value in values.items()}
    order = [*PROPERTIES, *rows[0]]
    return [dict(sorted(row.items(), key=lambda item: order.index(item[0].removesuffix("_std")))) for row in rows]


_FIRST_COLUMNS = {
    "step": Column("step", "Step"),
    "label": Column("label", "What it is", is_category=True),
    "formula": Column("formula", "Decodes to", is_category=True),
    "space_group": Column("space_group", "Space group", is_category=True),
    "n_sites": Column("n_sites", "Sites"),
    "volume_per_atom": PROPERTIES["volume_per_atom"].narrow_column,
    "min_distance": PROPERTIES["min_distance"].column,
}
_LATENT_COLUMNS = {
    "nearest": Column("nearest", "Nearest known", is_category=True),
    "nearest_distance": Column("nearest_distance", "Distance to it"),
    "percentile": Column("percentile", "Distance to the data", "percentile"),
    "round_trip_distance": Column("round_trip_distance", "Round trip, latent distance"),
}


def table(steps: Sequence[Step]) -> pd.DataFrame:
    """Lay steps out, one row each: what it is, its numbers, each light's answer, and at the end the reasons."""
    rows = [
        {"step": step.number + 1, "label": step.label, "formula": step.formula, "space_group": step.space_group}
        | {"nearest": step.nearest}
        | {light.name: light.answer for light in step.lights}
        | {f"{light.name}_reason": light.reason for light in step.lights}
        | step.numbers
        for step in steps
    ]
    made = pd.DataFrame(rows)
    order = [*_FIRST_COLUMNS, *LIGHTS, *_LATENT_COLUMNS]
    reasons = [f"{name}_reason" for name in LIGHTS]
    properties = [name for name in made if name not in order and name not in reasons]
    return made[[name for name in (*order, *properties, *reasons) if name in made]]


def titles(columns: Sequence[str]) -> list[Column]:
    """Name the columns of `table` for people, with units; the reasons keep their names."""
    named = []
    for name in columns:
        if name in LIGHTS:
            named.append(Column(name, LIGHTS[name], is_category=True))
        elif name.endswith("_reason"):
            named.append(Column(name, f"{LIGHTS[name.removesuffix('_reason')]}: why", is_category=True))
        else:
            named.append((_FIRST_COLUMNS | _LATENT_COLUMNS).get(name) or property_title(name))
    return named


def property_title(name: str) -> Column:
    """Name a property or its standard deviation, with the unit."""
    plain = name.removesuffix("_std")
    of_model = plain.removeprefix(f"{_PROBABILITY}_")
    column = property_named(plain).column
    if of_model != plain:
        column = Column(plain, f"{property_named(_PROBABILITY).title} by {of_model}")
    return replace(column, name=name, label=f"± {column.label}" if plain != name else column.label)


def property_lines(step: Step) -> list[tuple[str, str, str]]:
    """Return what is predicted of a step, a line a property: what it is called, "1.2 ± 0.3", and its unit."""
    lines = []
    for name, value in step.numbers.items():
        if not _is_predicted(step, name):
            continue
        column, std = property_title(name), step.numbers.get(f"{name}_std", np.nan)
        text = f"{value:.3g}" if np.isnan(std) else prediction.with_deviation(value, std)
        lines.append((column.label, text, column.unit))
    return lines


def properties_of(steps: Sequence[Step]) -> list[Column]:
    """Return the predicted properties that any step has, in the order in which they were predicted."""
    names = dict.fromkeys(name for step in steps for name in step.numbers if _is_predicted(step, name))
    return [property_title(name) for name in names]


def _is_predicted(step: Step, name: str) -> bool:
    """Whether a number is a predicted property; the volume of a crystal is measured, that of a formula predicted."""
    measured = name in _FIRST_COLUMNS or name in _LATENT_COLUMNS
    return not name.endswith("_std") and (not measured or f"{name}_std" in step.numbers)


def structures_of(steps: Sequence[Step]) -> list[tuple[str, Structure]]:
    """Return the crystals among the steps, each with a name that says which step it is."""
    crystals = [step for step in steps if isinstance(step.material, Structure)]
    return [(f"{step.number + 1:03d} {step.formula}", step.material) for step in crystals]


def tally(steps: Sequence[Step]) -> pd.DataFrame:
    """Count the answers of each light over all steps, failed ones included: columns light, yes, undecided, no."""
    counted: dict[str, dict[Answer, int]] = {}
    for step in steps:
        for light in step.lights:
            row = counted.setdefault(light.name, dict.fromkeys(ANSWERS, 0))
            row[light.answer] += 1
    return pd.DataFrame([{"light": name, **row} for name, row in counted.items()], columns=["light", *ANSWERS])
