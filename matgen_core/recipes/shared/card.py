"""Cards: what people read of a checkpoint, written from its `config.json` and `metrics.json` alone.

The text of a card is `card.md` in the folder of its system, a Jinja template; what several cards share is in
`recipes/shared/cards`. No figure is typed there: those of our own work come from the two files of the checkpoint, those
of papers from `paper.json` beside the template, with their source. A figure that is missing is an error.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from torch import nn

from matgen_core import checkpoint as checkpoints
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks.structures import MIN_DISTANCE, STRICT_MIN_DISTANCE
from matgen_core.data import DATASETS, load
from matgen_core.data.registry import Source
from matgen_core.materials.properties import Property, property_named
from matgen_core.tasks.ranking.evidence import CONTROLS
from matgen_core.tasks.ranking.summary import verdict

HEADINGS = (
    "What it is",
    "How good it is",
    "What it is not for",
    "Data",
    "Recipe",
    "Figures",
    "What was tried",
    "Intended use",
    "Known failures",
)
RECIPES = Path(__file__).parents[1]
SHARED = RECIPES / "shared" / "cards"
Document = Mapping[str, Any]  # a file of a checkpoint, as JSON gives it


@dataclass(frozen=True)
class UsedData:
    """A data set in a card.

    Attributes:
        name: As the registry, or a narrower choice from it, names it.
        source: What the registry says of it.
        rows: Of each part by the part's name; of an undivided set under "".
        sha256: Of the file that was read.
    """

    name: str
    source: Source
    rows: Mapping[str, int]
    sha256: str


def with_card(made: Checkpoint) -> Checkpoint:
    """Return a checkpoint with the number of its weights among the metrics and with its card.

    Raises:
        ValueError: If the template of its recipe asks for a figure that it lacks.
    """
    metrics = made.metrics | {"n_weights": n_weights(made.model)}
    made = replace(made, metrics=metrics)
    as_stored = [json.loads(json.dumps(each)) for each in (checkpoints.config_of(made), metrics)]
    return replace(made, card=render(made.name, *as_stored))


def n_weights(model: nn.Module) -> dict[str, int]:
    """Count the weights of a network: "all" of them, and those of each of its parts by name."""
    parts = {name: sum(weight.numel() for weight in part.parameters()) for name, part in model.named_children()}
    return {"all": sum(weight.numel() for weight in model.parameters()), **parts}


def rewrite(name: str) -> None:
    """Write the card of a checkpoint anew from the other files of its folder; nothing is loaded or trained.

    Raises:
        CheckpointError: If there is no such checkpoint or it cannot be read.
        ValueError: If the template asks for a figure that it lacks; the old card stays.
    """
    checkpoints.write_card(name, render(name, *checkpoints.documents(name)))


def beside(name: str) -> Document | None:
    """Return `config` and `metrics` of another checkpoint for a comparison, or None where it is not present."""
    if name not in checkpoints.names():
        return None
    config, metrics = checkpoints.documents(name)
    return {"config": config, "metrics": metrics}


def render(name: str, config: Document, metrics: Document) -> str:
    """Write the card of a checkpoint.

    Args:
        name: Of the checkpoint.
        config: Its `config.json`.
        metrics: Its `metrics.json`.

    Returns:
        Markdown with every heading of HEADINGS in order.

    Raises:
        ValueError: If the recipe has no template, the template asks for a figure that neither file has (the line names
            it), or its headings are others.
    """
    folder = system_folder(config["recipe"])
    try:
        text = (
            _environment(folder)
            .get_template("card.md")
            .render(name=name, config=config, metrics=metrics, data_sets=_used_data(config), paper=paper(folder.name))
        )
    except TemplateError as error:
        raise ValueError(
            f"{name}: its card cannot be written from config.json and metrics.json: {error.message}"
        ) from error
    found = tuple(re.findall(r"^## (.+)$", text, re.MULTILINE))
    if found != HEADINGS:
        raise ValueError(f"{folder / 'card.md'}: a card has the headings {', '.join(HEADINGS)}; got {', '.join(found)}")
    return _tidied(text)


def figures() -> str:
    """Write the figures of all checkpoints beside their papers and baselines: docs/figures.md.

    Raises:
        CheckpointError: If a checkpoint of this project is missing or cannot be read.
        ValueError: If a figure is missing; the line names it.
    """

    def of(name: str) -> Document:
        config, metrics = checkpoints.documents(name)
        return {"config": config, "metrics": metrics}

    try:
        return _tidied(_environment(SHARED).get_template("figures.md").render(of=of))
    except TemplateError as error:
        raise ValueError(f"the figures cannot be written: {error.message}") from error


def system_folder(recipe: str) -> Path:
    """Return the folder with the template of a recipe: the longest name that the recipe's begins with.

    So `formula_lm_oqmd` is found in `formula_lm`, and `icsg3d_paper` not in `icsg3d` but in its own.

    Raises:
        ValueError: If there is none.
    """
    folders = [path.parent for path in RECIPES.glob("*/card.md")]
    own = [folder for folder in folders if recipe == folder.name or recipe.startswith(f"{folder.name}_")]
    if not own:
        known = ", ".join(sorted(folder.name for folder in folders))
        raise ValueError(f"recipe {recipe!r} belongs to no system with a card; known: {known}")
    return max(own, key=lambda folder: len(folder.name))


@lru_cache
def paper(system: str = "") -> dict[str, Any]:
    """Return the figures of papers, with their sources: those that several systems share, and those of one system."""
    files = (SHARED / "paper.json", RECIPES / system / "paper.json")
    return {key: value for file in files if file.exists() for key, value in json.loads(file.read_text()).items()}


def _used_data(config: Document) -> list[UsedData]:
    """Bring the parts of each data set together; a part is named after a slash, a narrower choice after a comma."""
    found: dict[str, dict[str, int]] = {}
    for name, n in config.get("rows", {}).items():
        whole, _, part = name.partition("/")
        found.setdefault(whole, {})[part] = n
    return [
        UsedData(
            whole,
            _source_of(whole.partition(",")[0]),
            rows,
            next(sha for name, sha in config["datasets"].items() if name.partition("/")[0] == whole),
        )
        for whole, rows in found.items()
    ]


def _source_of(name: str) -> Source:
    """What the registry says of a data set, or, of one that a person brought, what the import wrote down."""
    return DATASETS[name] if name in DATASETS else load(name).source


# Filters. A figure that was not defined, such as the mean error of no crystal, is stored as null.


def _figure(write: Callable[..., str]) -> Callable[..., str]:
    def written(value: Any, *arguments: Any) -> str:
        # float() of a missing figure raises the error that names it.
        return "not defined" if value is None else write(float(value), *arguments)

    return written


def _with_unit(each: Property) -> str:
    return f"{each.label} ({each.unit})" if each.unit else each.label


FILTERS: dict[str, Callable[..., Any]] = {
    "percent": _figure(lambda value, digits=1: f"{value:.{digits}%}"),
    "fixed": _figure(lambda value, digits=3: f"{value:.{digits}f}"),
    "short": _figure(lambda value, digits=6: f"{value:.{digits}g}"),
    "signed": _figure(lambda value, digits=3: f"{value:+.{digits}f}"),
    "count": _figure(lambda value: f"{value:,.0f}"),
    "minutes": _figure(lambda seconds: f"{seconds / 60:.1f} min"),
    "spread": lambda found, digits=3: f"{found['mean']:.{digits}f} ± {found['std']:.{digits}f}",
    "mean": lambda values: fmean(values),
    "label": lambda name: property_named(name).label,
    "with_unit": lambda name: _with_unit(property_named(name)),
    "unit": lambda name: f" {property_named(name).unit}".rstrip(),
    "uncapitalized": lambda text: text[:1].lower() + text[1:],
    "listed": lambda words: _listed(list(words)),
}


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,  # the last line of what is included ends as any other
    )
    environment.filters |= FILTERS
    environment.globals |= {
        "beside": beside,
        "controls": CONTROLS,
        "least_distance": MIN_DISTANCE,
        "strict_distance": STRICT_MIN_DISTANCE,
        "paper_of": paper,
        "verdict": verdict,
    }
    return environment


def _tidied(text: str) -> str:
    """Put paragraphs and items on a line each, tables in straight columns, and one empty line between all."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in block.strip().splitlines()]
        blocks.append("\n".join(_straight(lines) if lines[0].startswith("|") else _joined(lines)))
    return "\n\n".join(blocks) + "\n"


def _joined(lines: Iterable[str]) -> list[str]:
    joined: list[str] = []
    for line in lines:
        if joined and not line.startswith(("- ", "#")) and not joined[-1].startswith("#"):
            joined[-1] += f" {line}"
        else:
            joined.append(line)
    # What a condition left out may have left spaces.
    return [re.sub(r" +(?=[,.;:](?:\s|$))", "", re.sub(r" {2,}", " ", line)) for line in joined]


def _straight(lines: list[str]) -> list[str]:
    """Pad the cells of a table; its second line says by colons which columns stand to the right."""
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    if any(len(row) != len(following) for row, following in pairwise(rows)):
        raise ValueError(f"a table whose rows differ in length: {lines[0]}")
    right = [cell == "--:" for cell in rows[1]]
    rows[1] = [""] * len(right)
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(right))]
    written = [
        [cell.rjust(n) if end else cell.ljust(n) for cell, n, end in zip(row, widths, right, strict=True)]
        for row in rows
    ]
    written[1] = ["-" * (n - 1) + ":" if end else "-" * n for n, end in zip(widths, right, strict=True)]
    return [f"| {' | '.join(row)} |" for row in written]
