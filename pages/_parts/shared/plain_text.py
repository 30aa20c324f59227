"""Text from outside, shown letter by letter: names and contents of files, what is typed, addresses, checkpoint folders.

Streamlit draws nearly every text as Markdown: an image in it makes the browser call outside, `www.` becomes a link, `$`
mathematics, `:material/home:` an icon and `->` an arrow. Some of that happens after escapes have been read, so a
backslash is not enough: there `_BREAK`, a piece of small print with nothing in it, parts what would be recognized.
"""

import re
from typing import Any

import streamlit as st

MOST = 2_000  # letters of one text; more is no message
_BREAK = ":small[]"
_PARTED = re.compile(
    r"(?i)(?<=ww)(?=w)|(?<=htt)(?=p)|(?<=@)"  # addresses
    r"|(?<=:)(?=[\w+-])"  # :smile:, :streamlit:
    r"|(?<=[-<~>])(?=[-=>])"  # arrows
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&])")
_PLACE = "\0"  # of a break, until the rest is escaped; no shown text holds one


def letters(text: str, most: int = MOST) -> str:
    """Return a text in one line and without what cannot be seen: controls and marks of direction are written out.

    Args:
        text: Any text.
        most: How many letters are kept; what is left out is counted.
    """
    left_out = f" … ({len(text) - most:,} more letters)" if len(text) > most else ""
    line = " ".join(text[:most].split())
    seen = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)
    return seen + left_out


def plain(text: object, most: int = MOST) -> str:
    """Return a text as Markdown that shows it letter by letter, in one line."""
    parted = _PARTED.sub(_PLACE, letters(str(text), most))
    return _MARKDOWN.sub(r"\\\1", parted).replace(_PLACE, _BREAK)


def code(name: str) -> str:
    """Return a name as Markdown that shows it in the letters of code."""
    shown = letters(name)
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    room = " " if shown[:1] == "`" or shown[-1:] == "`" else ""
    return f"{fence}{room}{shown}{room}{fence}"


# Messages


def error(text: object, where: Any = st) -> None:
    """Show in red what went wrong."""
    where.error(plain(text))


def warning(text: object) -> None:
    """Show in yellow what to look out for."""
    st.warning(plain(text))


def toast(text: object) -> None:
    """Show for a moment why something was not done."""
    st.toast(plain(text), icon=":material/block:", duration="long")


# Charts

_MARKUP = re.compile(r"<(?!/?(?:b|br|extra|sub|sup)>)")  # what is not of the few signs that our charts use


def figure(drawn: Any) -> dict[str, Any]:
    """Return a Plotly figure whose texts make no links: names of files and columns stand in them."""
    found: dict[str, Any] = _without_markup(drawn.to_dict())
    return found


def _without_markup(value: Any) -> Any:
    if isinstance(value, str):
        return _MARKUP.sub("&lt;", value)
    if isinstance(value, dict):
        return {key: _without_markup(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_markup(each) for each in value]
    if getattr(value, "dtype", "") == "object":
        return _without_markup(value.tolist())
    return value


# Cards

_ELSEWHERE = re.compile(r"(?i)(?<=ww)(?=w)|(?<=htt)(?=p)|(?<=@)|(?<=mer)(?=maid)")
_DOI = re.compile(r"(https://doi\.org/10\.[\w./()-]*[\w/])")


def card(markdown: str) -> str:
    """Return a card as Markdown that loads nothing and links to DOIs alone; headings, lists and tables stay.

    A folder may come from anywhere, its card with it.
    """
    bare = re.sub(r"<(https?://[^\s<>]*)>", r"\1", markdown)
    text = re.sub(r"!(?=\[)|[<&$]|(?<=\])[(:](?!https://doi\.org/10\.)", lambda sign: f"\\{sign[0]}", bare)
    parts = _DOI.split(text)
    return "".join(part if number % 2 else _ELSEWHERE.sub(_BREAK, part) for number, part in enumerate(parts))
