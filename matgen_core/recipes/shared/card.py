"""Model cards and provenance: what a training run writes about itself."""

from collections.abc import Mapping

import pandas as pd

from matgen_core.data import Dataset

HEADINGS = (
    "What it is",
    "Data",
    "Recipe",
    "Figures beside the paper's",
    "What was tried",
    "Intended use",
    "Out of scope",
    "Known failures",
)


def write_card(title: str, sections: Mapping[str, str]) -> str:
    """Join the sections to a Markdown card with every heading of HEADINGS in order.

    Raises:
        ValueError: If a heading is missing or not one of HEADINGS.
    """
    if set(sections) != set(HEADINGS):
        raise ValueError(f"a card has exactly the headings {', '.join(HEADINGS)}; got {', '.join(sections)}")
    return "\n\n".join([f"# {title}", *(f"## {name}\n\n{sections[name].strip()}" for name in HEADINGS)]) + "\n"


def markdown_table(rows: pd.DataFrame) -> str:
    """Write a table in Markdown."""
    return rows.to_markdown(index=False)


def data_section(*datasets: Dataset) -> str:
    """Name each data set with its size, source, licence and hash."""
    return "\n".join(
        f"- `{dataset.name}`: {len(dataset.table):,} rows. {dataset.source.title}. {dataset.source.text}"
        f" ({dataset.source.licence}). SHA-256 `{dataset.sha256}`."
        for dataset in datasets
    )
