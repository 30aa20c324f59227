"""Ways to damage a text as files and typed lines are damaged, by accident or on purpose."""

import re
from collections.abc import Callable, Sequence
from random import Random

MOST = 20_000  # letters of an input
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_TOKEN = re.compile(r"[^\s,;:=()\[\]{}\"'-]+")
_NUMBERS = (
    *("1e999", "-1e999", "1e308", "1e-400", "nan", "NaN", "inf", "-inf", "Infinity", "0", "-0", "-1", "0.0", "1", "2"),
    *("+3", "--1", "1_000", "300_000_000", "+300000000", "99999999999999999999", "2147483648", "9" * 400, "1" * 5000),
    *("1/2", "1/0", "0,5", "1.234,5", ".", "?", "", "1e", "e5", "0x10", "0b1", "1.0.0", "1(2)", "1(2", "1e5", "1d5"),
    *("\u0663", "\uff13", "\u00b2", "\u2082", "\u00bd", "\u2460", "\u2212" + "1", "\U0001d7d8", "1\u00a0000", "true"),
)
_MARKS = (
    *("\0", "\x07", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\ufeff", "\u202e", "\u200b", "\u00a0"),
    *("\n", "\r", "\r\n", "\t", " ", '"', "'", "`", "\\", "/", ";", ",", ":", "=", "+", "-", "*", "%", "#", "$", "_"),
    *("(", ")", "[", "]", "{", "}", "<", ">", "|", "&", "!", "~", "^", "@", "\u00e9", "\u03b1", "\u4e2d", "\U0001f9ea"),
    *("\u2013", "\u2014", "\u2011", "\u00b7", "\u2022", "\u0301", "<b>", "![x](y)", "=1+1", "${x}", "%s", "{0}", "../"),
)
_SWAPS = (
    *(
        (" ", "\t"),
        (",", ";"),
        (",", "\t"),
        (".", ","),
        ("\n", "\r\n"),
        ("\n", "\r"),
        ("\n", "\n\n"),
        (" ", ""),
        ("'", '"'),
    ),
    *(
        ("-", "\u2013"),
        ("0", "O"),
        ("1", "l"),
        ("\n", "\u2028"),
        (" ", "\u00a0"),
        ("_", ""),
        ("e", "E"),
        (":", "\uff1a"),
    ),
)
_ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp1252", "utf-7", "cp037", "shift-jis")


def damaged(rng: Random, text: str, words: Sequence[str] = ()) -> str:
    """Damage a text in one to five ways; now and then it stays as it is.

    Args:
        rng: Where chance comes from.
        text: A sound input.
        words: What such inputs are made of, put where it does not belong.
    """
    if rng.random() < 0.03:
        return text
    for _ in range(min(1 + int(rng.expovariate(0.9)), 5)):
        text = rng.choice(_CHANGES)(rng, text, words)[:MOST]
    return text


def encoded(rng: Random, text: str) -> bytes:
    """Write a text as bytes: mostly as UTF-8, else in another encoding, cut, or with bytes changed."""
    chance = rng.random()
    if chance < 0.06:
        return text.encode(rng.choice(_ENCODINGS), errors="replace")
    return (
        flipped(rng, text.encode("utf-8", "surrogatepass")) if chance < 0.12 else text.encode("utf-8", "surrogatepass")
    )


def flipped(rng: Random, content: bytes) -> bytes:
    """Change, drop or put in a few bytes, cut the end off, or double a part."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(6):
            case 0 | 1 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 2 if at < len(changed):
                changed[at] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
            case 3:
                changed[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8)))
            case 4:
                del changed[at : at + rng.choice((1, 4, 64))]
            case 5 if rng.random() < 0.3:
                del changed[at:]
            case _:
                changed[at:at] = changed[at : at + 64]
    return bytes(changed)


def _other_number(rng: Random, text: str, words: Sequence[str]) -> str:
    return _replaced(rng, text, _NUMBER, rng.choice(_NUMBERS))


def _every_number(rng: Random, text: str, words: Sequence[str]) -> str:
    return _NUMBER.sub(rng.choice(_NUMBERS[:40]), text) if rng.random() < 0.3 else _other_number(rng, text, words)


def _other_word(rng: Random, text: str, words: Sequence[str]) -> str:
    known = [*words, *_TOKEN.findall(text)[:50]] or ["x"]
    return _replaced(rng, text, _TOKEN, rng.choice(known))


def _mark(rng: Random, text: str, words: Sequence[str]) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(_MARKS) * rng.choice((1, 1, 1, 2, 50)) + text[at:]


def _line(rng: Random, text: str, words: Sequence[str]) -> str:
    """Drop, double, cut, move or repeat a line, or put a strange one in."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    match rng.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
        case 3:
            lines.insert(rng.randrange(len(lines)), lines.pop(at))
        case 4:
            lines[at:at] = [lines[at]] * rng.choice((10, 100, 1000))
        case 5:
            lines.insert(at, " ".join(rng.choice((*words, *_NUMBERS[:30])) for _ in range(rng.randrange(6))))
        case _:
            lines.insert(at, "")
    return "\n".join(lines)


def _cut(rng: Random, text: str, words: Sequence[str]) -> str:
    start, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    return rng.choice((text[:end], text[start:], text[:start] + text[end:]))


def _swap(rng: Random, text: str, words: Sequence[str]) -> str:
    old, new = rng.choice(_SWAPS)
    return text.replace(old, new, rng.choice((1, 3, -1)))


def _nest(rng: Random, text: str, words: Sequence[str]) -> str:
    at, (opened, closed) = rng.randrange(len(text) + 1), rng.choice(("()", "[]", "{}", '""', "''", ("[", "")))
    depth = rng.choice((1, 2, 30, 200, 5000))
    end = min(len(text), at + rng.randrange(20))
    return text[:at] + opened * depth + text[at:end] + closed * depth + text[end:]


def _long(rng: Random, text: str, words: Sequence[str]) -> str:
    start, length = rng.randrange(len(text) + 1), rng.randrange(1, 12)
    return text[:start] + text[start : start + length] * rng.choice((2, 20, 300, 3000)) + text[start + length :]


def _case(rng: Random, text: str, words: Sequence[str]) -> str:
    return rng.choice((text.upper, text.lower, text.swapcase, text.title))()


_CHANGES: tuple[Callable[[Random, str, Sequence[str]], str], ...] = (
    *(_other_number, _other_number, _every_number, _other_word, _other_word, _mark, _mark),
    *(_line, _line, _cut, _swap, _nest, _long, _case),
)


def _replaced(rng: Random, text: str, pattern: re.Pattern[str], by: str) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text + by
    match = rng.choice(found)
    return text[: match.start()] + by + text[match.end() :]
