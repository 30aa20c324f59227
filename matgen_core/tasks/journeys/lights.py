"""What a step is judged by: lights, each an answer with its reason."""

from dataclasses import dataclass
from typing import Literal

from pymatgen.core import Structure

from matgen_core import checks

Answer = Literal["yes", "undecided", "no"]
ANSWERS: tuple[Answer, ...] = ("yes", "undecided", "no")

LIGHTS = {
    "decodes": "Decodes",
    "distances": "Distances",
    "ends": "Elements",
    "volume": "Volume",
    "neutral": "Neutrality",
    "charge": "Charge balance",
    "known": "Known formula",
    "data": "Distance to the data",
    "returns": "Round trip",
    "elements": "As asked",
}


@dataclass(frozen=True)
class Light:
    """One judgment of a step: an answer, a word or two that say it, and the reason in full."""

    name: str  # of LIGHTS
    answer: Answer
    word: str
    reason: str

    @property
    def beside_title(self) -> str:
        """The word where the title stands before it and need not be said twice: "fits" of "volume fits"."""
        title = LIGHTS[self.name].lower()
        return "" if self.word == title else self.word.removeprefix(f"{title} ")


def not_judged(name: str) -> Light:
    """Return the light of what did not decode."""
    return Light(name, "no", "none", "not decoded, so it counts as failed")


def sizes_of(structure: Structure) -> dict[str, float]:
    """Return how large a crystal is, by column: Å and Å^3 an atom; the number of sites alone where its cell is flat."""
    sizes = {"n_sites": float(len(structure))}
    if checks.lattice_problem(structure):
        return sizes
    closest = checks.closest_sites(structure).distance
    return sizes | {"volume_per_atom": checks.volume_per_atom(structure), "min_distance": closest}
