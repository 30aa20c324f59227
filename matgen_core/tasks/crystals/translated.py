"""Two binary hydrides translated to ternary ones, as samples that are shown and kept as those of any generator are."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from pymatgen.core import Structure

from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks import Verdict
from matgen_core.data.rows import structure
from matgen_core.tasks import translation
from matgen_core.tasks.crystals import sampling
from matgen_core.tasks.crystals.sampling import Known, Sample

DATASET = "mp_metal_hydrides"
METALS, KEPT = "metal_distances", "kept"
LIGHTS = (METALS, *sampling.LIGHTS)
EXAMPLE = 24
_NEAR_HULL = 0.1  # eV/atom; farther above it a known hydride is one that was calculated only


@dataclass(frozen=True)
class Pair:
    """What is asked of a network that translates; the same makes the same crystals.

    Attributes:
        model: Name of the checkpoint.
        first: What one binary hydride is called, as in `binaries`.
        second: What the other is called.
        n: How many tries.
        seed: Of all that is drawn.
    """

    model: str
    first: str
    second: str
    n: int = EXAMPLE
    seed: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """All that was chosen, as a file holds it."""
        return {"generator": self.model, "n": self.n, "seed": self.seed, "first": self.first, "second": self.second}

    @property
    def title(self) -> str:
        """Say it in a line."""
        return f"{self.model}, {self.first} and {self.second}, {self.n:,} tries, seed {self.seed}"

    def __str__(self) -> str:
        """Write it as `read` reads it: "crystalgan_hydride,n=24,seed=0,first=ideal-PdH,second=ideal-NiH"."""
        return ",".join([self.model, *(f"{name}={value}" for name, value in list(self.settings.items())[1:])])

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `str` wrote, as a link may hold it.

        Raises:
            ValueError: If it is none.
        """
        model, *rest = text.split(",")
        given = dict(each.partition("=")[::2] for each in rest)
        if set(given) - {"n", "seed"} != {"first", "second"}:
            raise ValueError(
                f"{text[:80]!r} translates nothing; expected a model and two hydrides, first=… and second=…"
            )
        counted = sampling.Asked.read(",".join([model, *(each for each in rest if each.startswith(("n=", "seed=")))]))
        return cls(model, given["first"], given["second"], counted.n, counted.seed)


def binaries(checkpoint: Checkpoint) -> dict[str, Structure]:
    """Return the binary hydrides to choose from, by what a link calls them.

    They are the paper's as ideal crystals, and those of the installed data at most 0.1 eV/atom above the hull, of
    metals that the network knows.
    """
    found: dict[str, Structure] = {}
    for pair in translation.examples(checkpoint).values():
        found |= {f"ideal-{_name(each)}": each for each in pair}
    try:
        rows = data.load(DATASET).table
    except ValueError:  # not installed
        return found
    near = rows[rows["nelements"].eq(2) & rows["energy_above_hull"].le(_NEAR_HULL)]
    for row in near.sort_values(["formula", "energy_above_hull"], kind="stable").to_dict("records"):
        crystal = structure(row)
        try:
            translation.hydride(checkpoint, crystal)
        except ValueError:  # too large, or of a metal that the network has never seen
            continue
        found[f"{_name(crystal)}-{row['material_id']}"] = crystal
    return found


def _name(hydride: Structure) -> str:
    """Write a hydride with the metal first, "PdH"."""
    amounts = hydride.composition.reduced_composition.get_el_amt_dict()
    return "".join(f"{symbol}{n:.0f}" if n > 1 else symbol for symbol, n in sorted(amounts.items(), key=_is_hydrogen))


def _is_hydrogen(amount: tuple[str, float]) -> bool:
    return amount[0] == "H"


def samples(checkpoint: Checkpoint, asked: Pair, first: Structure, second: Structure) -> Iterator[Sample]:
    """Translate two hydrides, try by try; those that failed keep their place.

    Args:
        checkpoint: A network that translates.
        asked: How often, and the seed.
        first: A hydride of one metal.
        second: A hydride of another.

    Returns:
        Samples whose rows also hold the paper's criterion, whether the crystal is kept (good, and none before it is the
        same), how real the critic finds it (its place, from 1), and what share of the metal is the second's.

    Raises:
        ValueError: As `translation.translate`.
    """
    done = translation.translate(checkpoint, first, second, asked.n, asked.seed)
    known, kept = Known(checkpoint), {id(each) for each in done.kept}
    places = np.argsort(np.argsort([-each.realness if each.structure else np.inf for each in done.tries]))
    for number, (each, place) in enumerate(zip(done.tries, places.tolist(), strict=True), 1):
        [sample] = sampling.judged([(each.structure, each.problem)], known, number)
        metals = each.verdicts.get(METALS, Verdict(False, f"not made: {each.problem}"))
        more = {
            KEPT: id(each) in kept,
            "realness_place": place + 1 if each.structure is not None else None,
            "share_of_second": each.n_second / each.n_metals,
        }
        yield replace(sample, row=sample.row | sampling.verdict_columns(METALS, metals) | more)


def way(checkpoint: Checkpoint, asked: Pair, first: Structure, second: Structure) -> list[tuple[str, Sample]]:
    """Return the crystals on the way from the first hydride to its translation, and the second; each with what it is.

    Raises:
        ValueError: As `translation.path`.
    """
    steps = translation.path(checkpoint, first, second, asked.seed)
    taken = translation.hydride(checkpoint, second).structure
    words = {"given": "the first, as given", "translated": "the first, carried to the other metal"}
    told = [words.get(each.kind, f"{each.share:.0%} of the metal exchanged") for each in steps]
    made = sampling.judged([*((each.structure, "") for each in steps), (taken, "")], Known(checkpoint))
    return list(zip([*told, "the second, as given"], made, strict=True))
