"""Crystals to judge that a generator makes: the networks that write crystals, and the exchanges that need none."""

from collections.abc import Callable, Sequence

from matgen_core import checkpoint as checkpoints
from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.latent.space import LatentSpace
from matgen_core.tasks import exchange
from matgen_core.tasks.validation.inputs import Candidate, of_structures

EXAMPLE = 8  # crystals that are judged within a minute or two


def without_network() -> list[str]:
    """Name the generators without a network that can be used: they change crystals of the installed data."""
    return list(exchange.GENERATORS) if data.path_of(exchange.DATASET).is_file() else []


def of_generator(
    name: str,
    n: int,
    seed: int,
    load: Callable[[str], Checkpoint] = checkpoints.load,
    done: Callable[[int], None] = lambda n: None,
) -> list[Candidate]:
    """Make crystals; a sample that decodes to none has its place and its reason.

    Args:
        name: One of `without_network`, or a checkpoint that writes crystals.
        n: How many.
        seed: The same seed makes the same crystals.
        load: Gives the checkpoint of a name.
        done: Told how many are there.

    Raises:
        CheckpointError: If there is no such checkpoint.
        ValueError: If the data are not installed.
    """
    names = [f"sample {number}" for number in range(1, n + 1)]
    if name in exchange.GENERATORS:
        made = exchange.GENERATORS[name](exchange.Skeletons.installed(), n, seed)
        notes = [_told(each) for each in made]
        found = of_structures(names, [each.structure for each in made])
        return [
            Candidate(each.name, each.structure, each.problem, note) for each, note in zip(found, notes, strict=True)
        ]
    space = LatentSpace.of(load(name))
    decoded = space.decode(space.sample(n, seed), None, done)
    return _of_decoded(names, [each.material for each in decoded], [each.problem or "" for each in decoded])


def _of_decoded(names: Sequence[str], materials: Sequence[object], problems: Sequence[str]) -> list[Candidate]:
    found = []
    for name, material, problem in zip(names, materials, problems, strict=True):
        if material is None:
            found.append(Candidate(name, None, f"not decoded: {problem}"))
        else:
            found += of_structures([name], [material])  # type: ignore[list-item]
    return found


def _told(made: exchange.Exchanged) -> str:
    swaps = ", ".join(f"{old} to {new}" for old, new in made.swaps)
    return f"of {made.parent}" + (f": {swaps}" if swaps else ", distorted")
