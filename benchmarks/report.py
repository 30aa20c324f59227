"""docs/speed.md: each benchmark replaces its own section, so what stands there was printed by a run."""

import re
from collections.abc import Sequence
from pathlib import Path

FILE = Path(__file__).parents[1] / "docs" / "speed.md"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; the first column stands to the left, the others to the right."""
    lines = [columns, ["---", *["--:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def publish(section: str, *blocks: str, file: Path = FILE) -> None:
    """Print what a benchmark found, and put it in place of its section of the file.

    Args:
        section: Name between the two comments that mark the section.
        blocks: Paragraphs and tables.
        file: A Markdown file.

    Raises:
        ValueError: If the file has no such section; nothing is written.
    """
    text = "\n\n".join(blocks)
    print(text)
    marked = re.compile(rf"(?<=<!-- {re.escape(section)} -->\n).*?(?=<!-- end -->)", re.DOTALL)
    old = file.read_text()
    if not marked.search(old):
        raise ValueError(f"{file} has no section between <!-- {section} --> and <!-- end -->")
    file.write_text(marked.sub(lambda _: f"\n{text}\n\n", old, count=1))
