"""A crystal on the way between two known ones, judged by them: its elements, and its volume an atom."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pymatgen.core import Composition, Structure

from matgen_core.latent.map import LatentMap
from matgen_core.latent.space import Decoded
from matgen_core.materials.levels import CRYSTAL
from matgen_core.tasks.journeys.lights import Answer, Light, not_judged, sizes_of
from matgen_core.tasks.journeys.routes import Route

OFF_LINE, FAR_OFF = 0.1, 0.2  # of the volume an atom between two ends; half the free samples of `icsg3d` are FAR_OFF


@dataclass(frozen=True)
class End:
    """A crystal that steps of a way lie before or behind."""

    number: int  # its step
    name: str
    elements: frozenset[str]  # of the known material
    volume: float | None  # Å^3 an atom of what it decodes to


def ends_of(space: LatentMap, route: Route) -> list[End]:
    """Return the ends of the ways of a route between known crystals, in order; none of other routes."""
    if space.level is not CRYSTAL or not route.ends:
        return []
    decoded = space.decode(route.z[list(route.ends)])
    found = []
    for number, each in zip(route.ends, decoded, strict=True):
        formula = str(space.index["formula"].iloc[route.rows[number]])
        elements = frozenset(element.symbol for element in Composition(formula))
        volume = None if each.material is None else sizes_of(each.material).get("volume_per_atom")
        found.append(End(number, route.labels[number], elements, volume))
    return found


def judged_between(decoded: Decoded, number: int, ends: Sequence[End]) -> list[Light]:
    """Judge a crystal by the two ends that it lies between: its elements and its volume an atom."""
    if decoded.material is None:
        return [not_judged("ends"), not_judged("volume")]
    first, second = next((a, b) for a, b in pairwise(ends) if number <= b.number)
    foreign = {element.symbol for element in decoded.material.composition.elements} - first.elements - second.elements
    if foreign:
        named = ", ".join(sorted(foreign))
        elements = Light("ends", "no", f"foreign {named}", f"{named}: in neither {first.name} nor {second.name}")
    else:
        elements = Light("ends", "yes", "of the ends", f"all its elements are in {first.name} or {second.name}")
    return [elements, _volume(decoded.material, number, first, second)]


def _volume(structure: Structure, number: int, first: End, second: End) -> Light:
    here = sizes_of(structure).get("volume_per_atom")
    if here is None:
        return Light("volume", "no", "no cell", "its cell is flat, so it has no volume")
    if first.volume is None or second.volume is None:
        lost = first if first.volume is None else second
        return Light("volume", "undecided", "no line", f"{lost.name} decodes to no crystal, so there is no line to it")
    share = (number - first.number) / (second.number - first.number)
    line = (1 - share) * first.volume + share * second.volume
    off = here / line - 1
    said = f"{off:+.0%}".replace("-", "−")  # noqa: RUF001 a minus, not a hyphen
    reason = (
        f"{here:.1f} Å³ an atom, {said} off the line between {first.name} ({first.volume:.1f})"
        f" and {second.name} ({second.volume:.1f})"
    )
    if abs(off) <= OFF_LINE:
        return Light("volume", "yes", "volume fits", reason)
    # What is still one end half-way to the other is off the line, and no wrong crystal.
    is_of_ends = min(first.volume, second.volume) <= here <= max(first.volume, second.volume)
    answer: Answer = "undecided" if is_of_ends or abs(off) <= FAR_OFF else "no"
    return Light("volume", answer, f"volume {said}", reason)
