"""The text of a CIF as blocks of tags and loops, every value with its line.

The grammar of CIF 1.1 with the quotation marks of CIF 2 (Hall, Allen and Brown, Acta Cryst. A47, 655 (1991);
Bernstein et al., J. Appl. Cryst. 49, 277 (2016)). Tags come in lower case with "_" for CIF 2's dots. A fault in one
block, or in a loop that no crystal needs, spoils nothing else.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from matgen_core.data.structure_files.reading import shown

_MAX_BLOCKS = 1_000
_MAX_VALUES = 2_000_000  # in a file; 4 s, and reflections of a large crystal have as many
_TOKEN = r"""(?P<field>^;[^\n]*(?:\n(?!;)[^\n]*)*(?P<closed>\n;)?)
    |(?P<comment>\#[^\n]*)%s
    |(?P<quoted>'(?:[^'\n]|'(?=\S))*(?:'(?=\s|\Z)|$)|"(?:[^"\n]|"(?=\S))*(?:"(?=\s|\Z)|$))
    |(?P<word>\S+)"""
_TRIPLE = r"""
    |(?P<triple>'{3}.*?(?:'{3}(?=\s|\Z)|\Z)|\"{3}.*?(?:\"{3}(?=\s|\Z)|\Z))"""
# What is opened and never closed ends with the line, or the text: no place is looked at twice.
_CIF_1, _CIF_2 = (re.compile(_TOKEN % triple, re.MULTILINE | re.VERBOSE | re.DOTALL) for triple in ("", _TRIPLE))


class Value(NamedTuple):
    """A value, the line on which it begins, and whether it stands in quotation marks or in a text field."""

    text: str
    line: int
    quoted: bool = False

    @property
    def known(self) -> bool:
        """Whether it is more than "?" or "."."""
        return self.quoted or self.text not in ("?", ".")


@dataclass
class Loop:
    """A loop: its tags, and its values one row behind the other."""

    line: int
    tags: list[str] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    @property
    def fault(self) -> str:
        """Say where the values do not fill the rows; "" if they do."""
        n = len(self.tags)
        if not n or len(self.values) % n == 0:
            return ""
        lines: dict[int, int] = {}
        for value in self.values:
            lines[value.line] = lines.get(value.line, 0) + 1
        for line, found in lines.items():
            if found != n and sum(each == n for each in lines.values()) * 2 >= len(lines):
                return f"line {line}: {found} values, but its loop has {n} columns ({self.tags[0]} and so on)"
        return f"line {self.line}: {len(self.values)} values do not fill rows of {n} columns ({self.tags[0]} and so on)"


@dataclass
class Block:
    """A block of data."""

    name: str
    line: int
    values: dict[str, Value] = field(default_factory=dict)
    loops: dict[str, Loop] = field(default_factory=dict)  # by each of their tags
    twice: list[str] = field(default_factory=list)  # tags that come again with another value
    fault: str = ""  # where the text itself is broken

    def value(self, *tags: str) -> Value | None:
        """Return the first of some tags that has a known value, alone or as the only row of a loop."""
        for tag in tags:
            found = self.column(tag)
            if found and found[0].known and len(found) == 1:
                return found[0]
        return None

    def column(self, tag: str) -> list[Value]:
        """Return the values of a tag, row by row; empty if the tag is not there.

        Raises:
            ValueError: If the loop's values do not fill its rows.
        """
        if tag in self.values:
            return [self.values[tag]]
        if tag not in self.loops:
            return []
        loop = self.loops[tag]
        if loop.fault:
            raise ValueError(loop.fault)
        return loop.values[loop.tags.index(tag) :: len(loop.tags)]

    def begins(self, *beginnings: str) -> bool:
        """Whether a tag begins so."""
        return any(tag.startswith(beginnings) for tag in (*self.values, *self.loops))


def read_blocks(text: str) -> list[Block]:
    """Split the text of a CIF into its blocks.

    Raises:
        ValueError: If there is no block, or there are very many blocks or values.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    blocks: list[Block] = []
    block = Block("", 1)
    reader = _BlockReader(block)
    for value in _tokens(text):
        word = value.text.lower()
        if not value.quoted and word.startswith("data_"):
            block = Block(value.text[5:], value.line)
            blocks.append(block)
            if len(blocks) > _MAX_BLOCKS:
                raise ValueError(f"more than {_MAX_BLOCKS} blocks of data; give it in parts")
            reader = _BlockReader(block)
        else:
            reader.take(value)
        if value.line < 0:
            block.fault = value.text
    if not blocks:
        raise ValueError("no line begins with data_, as a CIF's first does; check what kind of file it is")
    return blocks


def _tokens(text: str) -> Iterator[Value]:
    line, last = 1, 0
    grammar = _CIF_2 if text.lstrip("\ufeff").startswith("#\\#CIF_2") else _CIF_1
    for n, match in enumerate(grammar.finditer(text)):
        if n == _MAX_VALUES:
            raise ValueError(f"more than {_MAX_VALUES:,} values; leave out what describes no crystal")
        line += text.count("\n", last, match.start())
        last = match.start()
        kind, token = match.lastgroup, match.group()
        if match["field"] is not None:
            if match["closed"] is None:
                yield Value(f"line {line}: a text field (;) that is never closed", -1)
                return
            yield Value(token[1:-2], line, True)
        elif kind == "triple":
            yield Value(token[3:-3], line, True)
        elif kind == "quoted":
            yield Value(token[1:-1] if len(token) > 1 and token[-1] == token[0] else token[1:], line, True)
        elif kind == "word":
            yield Value(token, line)


class _BlockReader:
    """Puts values under their tags, one after the other."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.tag = ""
        self.loop: Loop | None = None

    def take(self, value: Value) -> None:
        """Take the next value, tag or word of the grammar."""
        word = "" if value.quoted else value.text.lower()
        if value.line < 0:
            return
        if word == "loop_":
            self.tag, self.loop = "", Loop(value.line)
        elif word in ("stop_", "global_") or word.startswith("save_"):
            self.tag, self.loop = "", None
        elif word.startswith("_"):
            self._take_tag(word.replace(".", "_"), value)
        elif self.loop is not None:
            self.loop.values.append(value)
        elif self.tag:
            self._take_value(value)

    def _take_tag(self, tag: str, value: Value) -> None:
        if self.loop is not None and not self.loop.values:
            self.loop.tags.append(tag)
            if tag in self.block.loops or tag in self.block.values:
                self.block.twice.append(tag)
            else:
                self.block.loops[tag] = self.loop
        else:
            self.tag, self.loop = tag, None

    def _take_value(self, value: Value) -> None:
        there = self.block.values.get(self.tag)
        if there is None:
            self.block.values[self.tag] = value
        elif there.line == value.line and not there.quoted and not value.quoted:  # F m -3 m without its quotes
            self.block.values[self.tag] = Value(f"{there.text} {value.text}", value.line)
        elif there.text != value.text:
            self.block.twice.append(self.tag)


def rows_of_text(block: Block, tags: Sequence[str]) -> list[Value]:
    """Return the values of the first of some tags that is there, lines without quotation marks put together.

    Operations are often written without them: "x, y, z" comes as three values then.
    """
    for tag in tags:
        loop = block.loops.get(tag)
        if loop is None:
            if tag in block.values:
                return [block.values[tag]]
            continue
        if not loop.fault and all(value.quoted or value.text.count(",") == 2 for value in block.column(tag)):
            return block.column(tag)
        lines: dict[int, list[str]] = {}
        for value in loop.values:
            lines.setdefault(value.line, []).append(value.text)
        numbered = len(loop.tags) - 1
        return [Value("".join(words[numbered:]), line) for line, words in lines.items()]
    return []


def where(value: Value, name: str) -> str:
    """Name a value for a message: its line and what it belongs to."""
    return f"line {value.line}, {name}: {shown(value.text)}"
