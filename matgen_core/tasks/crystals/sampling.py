"""Crystals that a generator makes, one after the other: drawn, decoded, checked, held against what is known.

A sample that decodes to no crystal keeps its place and its reason, so that every share has all samples in it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Protocol, Self

import pandas as pd
from pymatgen.core import Composition, Structure

from matgen_core import checks
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks import Verdict
from matgen_core.latent.index import GENERATED
from matgen_core.latent.space import BATCH_SIZE, LatentSpace
from matgen_core.materials.notation import composition_of
from matgen_core.materials.properties import PROPERTIES, property_named
from matgen_core.materials.report import Symmetry, symmetry
from matgen_core.tasks.exchange import DATASET
from matgen_core.tasks.placement import KnownCrystals, known_in, novelty

MOST = 200  # samples of one request on a page; the command line takes any number
EXAMPLE = 24
MOST_SEED = 2**31
NOVEL = "novel"
CHECKS = (*checks.STRUCTURE_CHECKS, *checks.COMPOSITION_CHECKS)
# What tells a good sample at a glance; that its cell is finite and its sites are whole is so of whatever is decoded.
LIGHTS = ("strict_distances", "volume_per_atom_in_range", "smact_valid", NOVEL)


@dataclass(frozen=True)
class Asked:
    """What is asked of a generator; the same makes the same crystals.

    Attributes:
        model: Name of the checkpoint.
        n: How many samples.
        seed: Of the random numbers.
        wanted: Properties asked for, as `LatentSpace.condition_of` takes them.
        composition: As `LatentSpace.cells` takes it, such as "Mg2MnO4"; "" asks for none.
    """

    model: str
    n: int = EXAMPLE
    seed: int = 0
    wanted: tuple[tuple[str, float], ...] = ()
    composition: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """All that was chosen, as a file holds it."""
        of_cell = {"composition": self.composition} if self.composition else {}
        return {"generator": self.model, "n": self.n, "seed": self.seed, **of_cell, **dict(self.wanted)}

    def __str__(self) -> str:
        """Write it as `read` reads it: "icsg3d,n=24,seed=0,formation_energy_per_atom=-1.6"."""
        return ",".join([self.model, *(f"{name}={value}" for name, value in list(self.settings.items())[1:])])

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `str` wrote, as a link may hold it.

        Raises:
            ValueError: If it is none.
        """
        model, *rest = text.split(",")
        given = dict(each.partition("=")[::2] for each in rest)
        composition = given.pop("composition", "")
        try:
            n, seed = int(given.pop("n", str(EXAMPLE))), int(given.pop("seed", "0"))
            wanted = tuple((name, float(value)) for name, value in given.items())
        except ValueError:
            n, seed, wanted = 0, 0, ()
        if not model or n < 1 or not 0 <= seed < MOST_SEED or any(not math.isfinite(value) for _, value in wanted):
            raise ValueError(
                f"{text[:80]!r} asks for no crystals; expected a model, how many and a seed, as icsg3d,n=24,seed=0"
            )
        if n > MOST:
            raise ValueError(f"{n:,} samples; a page makes {MOST} at a time, `matgen generate` any number")
        return cls(model, n, seed, wanted, composition)

    @property
    def title(self) -> str:
        """Say it in a line."""
        wanted = "".join(f", {property_named(name).label} {value:g}" for name, value in self.wanted)
        of_cell = f" of {self.composition}" if self.composition else ""
        return f"{self.model}, {self.n:,} samples{of_cell}, seed {self.seed}{wanted}"


class Request(Protocol):
    """What crystals were asked for, of whatever makes them."""

    @property
    def model(self) -> str:
        """Name of the checkpoint."""
        ...

    @property
    def n(self) -> int:
        """How many."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """All that was chosen, as a file holds it: the model, n and the seed first."""
        ...

    @property
    def title(self) -> str:
        """All that was chosen in a line."""
        ...


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample.

    Attributes:
        number: Its place, from 1.
        structure: The crystal; None where there is none.
        problem: Why there is none.
        row: What `checks.screen` says of it, with density (g/cm^3), whether it is new, and why.
        symmetry: Of the crystal.
        picture: A still of it as SVG; "" where nobody has drawn it, or it cannot be.
    """

    number: int
    structure: Structure | None
    problem: str
    row: dict[str, Any]
    symmetry: Symmetry = field(default_factory=Symmetry)
    picture: str = ""

    @property
    def name(self) -> str:
        """What it is called, as in a folder that the command line writes."""
        return f"sample-{self.number:05d}"


def samples(checkpoint: Checkpoint, asked: Asked) -> Iterator[Sample]:
    """Make what is asked for, sample by sample.

    Args:
        checkpoint: A generator of crystals.
        asked: What of it.

    Raises:
        ValueError: If the model takes no such condition.
    """
    space = LatentSpace.of(checkpoint)
    of_prior, of_decoder = space.conditions(dict(asked.wanted), asked.n, asked.composition, asked.seed)
    z = space.sample(asked.n, asked.seed, condition=of_prior)
    known = Known(checkpoint)
    for start in range(0, asked.n, BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        decoded = space.decode(z[part], None if of_decoder is None else of_decoder[part])
        yield from judged([(each.material, each.problem or "") for each in decoded], known, start + 1)


def judged(made: Sequence[tuple[Structure | None, str]], known: "Known", first: int = 1) -> Iterator[Sample]:
    """Judge what was made by the checks that everything is judged by.

    Args:
        made: Crystals, or None and why there is none.
        known: What does not count as new.
        first: Number of the first.
    """
    rows = checks.screen(
        [ValueError(problem) if structure is None else structure for structure, problem in made], CHECKS
    )
    for number, ((structure, problem), found) in enumerate(
        zip(made, rows.astype(object).to_dict("records"), strict=True), first
    ):
        row = {str(name): value for name, value in found.items()}
        if structure is None:
            yield Sample(number, None, problem, row | verdict_columns(NOVEL, Verdict(False, f"not decoded: {problem}")))
            continue
        row |= {"density": float(structure.density)} | verdict_columns(NOVEL, known.novelty(structure))
        yield Sample(number, structure, "", row, symmetry(structure))


def verdict_columns(name: str, verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as two columns of a row."""
    return {name: verdict.passed, f"{name}_reason": verdict.reason}


class Known:
    """What does not count as new: the crystals that a model learned from and those of the Materials Project data."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        own = next(iter(checkpoint.provenance.get("datasets", {})), DATASET).split("/")[0]
        self._data_sets = list(dict.fromkeys((own, DATASET)))
        self._read: dict[str, list[KnownCrystals]] = {}
        self._formulas = _known_formulas(checkpoint.index)

    def novelty(self, structure: Structure) -> Verdict:
        """Say whether a crystal is new, as `placement.novelty` does; with the model's index where no data are here."""
        formula = structure.composition.reduced_formula
        if formula not in self._read:  # a sample of the same formula asks for the same
            known = [known_in(name, [structure]) for name in self._data_sets]
            self._read[formula] = [each for each in known if not each.problem] or known[:1]
        found = [novelty(structure, each) for each in self._read[formula]]
        worst = min(found, key=lambda each: (each.passed is not False, each.passed is not None))
        reason = worst.reason if worst.passed is False else "; ".join(each.reason for each in found)
        if worst.passed is None and self._formulas:
            listed = "is" if formula in self._formulas else "is not"
            reason += f"; {formula} {listed} among the {len(self._formulas):,} formulas that the model's index names"
        return Verdict(worst.passed, reason)


def _known_formulas(index: pd.DataFrame | None) -> set[str]:
    """Formulas of an index, without what the model has drawn itself."""
    if index is None or "formula" not in index:
        return set()
    known = index if "split" not in index else index[index["split"] != GENERATED]
    return set(known["formula"].astype(str))


def table(made: Sequence[Sample], asked: Request) -> pd.DataFrame:
    """Lay samples out, a row each, failed ones too.

    Returns:
        sample, decoded, file, formula, space_group, then as `checks.screen` has it: sizes, problem, each check with its
        reason, whether it is new; and what was asked for.
    """
    rows = [
        {
            "sample": each.number,
            "decoded": each.structure is not None,
            "file": f"{each.name}.cif" if each.structure is not None else "",
            "formula": each.row["formula"],
            "space_group": "" if each.symmetry.number is None else f"{each.symmetry.symbol} ({each.symmetry.number})",
            "density": each.row.get("density"),
            **{name: value for name, value in each.row.items() if name not in ("formula", "density")},
            **{f"asked_{name}": value for name, value in list(asked.settings.items())[3:]},
        }
        for each in made
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Class:
    """A class of values that a model tells apart.

    Attributes:
        value: Within it; asking for this value asks for the class.
        low: Its lower edge, None for the lowest.
        high: Its upper edge, None for the highest.
    """

    value: float
    low: float | None
    high: float | None


def classes(space: LatentSpace, name: str) -> list[Class]:
    """Return the classes of a property that a model tells apart, in order; none where each value counts."""
    edges = space.condition_edges.get(name, ())
    if not edges:
        return []
    inner = [Class(round((low + high) / 2, 3), low, high) for low, high in pairwise(edges)]
    first, last = Class(round(edges[0] - 0.1, 3), None, edges[0]), Class(round(edges[-1] + 0.1, 3), edges[-1], None)
    return [first, *inner, last]


def class_of(found: Sequence[Class], value: float) -> Class:
    """Return the class that a value falls into."""
    return next(each for each in found if each.high is None or value <= each.high)


def settled(space: LatentSpace, asked: Asked) -> Asked:
    """Return the same request in the one way to write it: values that are heard by class, and the order of a cell.

    Raises:
        ValueError: If the model takes no composition, or cannot make this one.
    """
    values = {name: classes(space, name) for name, _ in asked.wanted}
    wanted = [(name, class_of(values[name], value).value if values[name] else value) for name, value in asked.wanted]
    if not asked.composition:
        return replace(asked, wanted=tuple(wanted))
    space.conditions({}, 1, asked.composition)
    return replace(asked, wanted=tuple(wanted), composition=_in_order(space, composition_of(asked.composition)))


def _in_order(space: LatentSpace, composition: Composition) -> str:
    """Write a composition with its elements in the order of the model."""
    amounts = composition.get_el_amt_dict()
    named = [(symbol, round(amounts[symbol])) for symbol in space.representation.elements if symbol in amounts]
    return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in named)


def learned_compositions(space: LatentSpace) -> list[str]:
    """Return the compositions that a model has learned, "Mg2MnO4", the simplest first; none of one that takes none."""
    if not space.takes_composition:
        return []
    counts, _ = space.model.learned_compositions()
    found = {_reduced(row) for row in counts.round().long().tolist()}
    elements = space.representation.elements
    ordered = sorted(found, key=lambda row: (sum(row), row))
    return [_in_order(space, Composition(dict(zip(elements, row, strict=True)))) for row in ordered]


def _reduced(counts: Sequence[int]) -> tuple[int, ...]:
    divisor = math.gcd(*counts)
    return tuple(n // divisor for n in counts)


def tally(made: Sequence[Sample], lights: Sequence[str] = LIGHTS) -> list[tuple[str, int, int]]:
    """Count over all samples, failed ones too: of each light its name, how many pass, how many are undecided."""
    return [
        (
            name,
            sum(each.row[name] is True for each in made),
            sum(pd.isna(each.row[name]) for each in made),
        )
        for name in lights
    ]


def facts(sample: Sample) -> list[tuple[str, str]]:
    """Say of a crystal what tells it at a glance, title and value with its unit; nothing of a failed one."""
    if sample.structure is None:
        return []
    lengths = " · ".join(f"{each:.2f}" for each in sample.structure.lattice.abc)
    angles = " · ".join(f"{each:.1f}" for each in sample.structure.lattice.angles)
    row = sample.row
    found = [
        ("Space group", sample.symmetry.summary.removeprefix("Space group ")),
        ("Cell", f"{lengths} Å, {angles}°, {row['n_sites']} sites"),
    ]
    if not pd.isna(row["volume_per_atom"]):
        found += [
            ("Density", f"{row['density']:.2f} g/cm³"),
            ("Volume", f"{row['volume_per_atom']:.2f} {PROPERTIES['volume_per_atom'].shown_unit}"),
            ("Nearest distance", f"{row['min_distance']:.2f} Å"),
        ]
    return found


def origin_of(asked: Request, version: str) -> str:
    """Say in a line what made a crystal, for whoever is given a file of it."""
    return f"{version}; {asked.title}"
