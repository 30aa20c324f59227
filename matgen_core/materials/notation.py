"""Formulas as people write them: hydrates, subscripts, LaTeX, brackets; what can mean two things is refused or told.

Every door that takes a formula reads it here, so that a text means the same everywhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from pymatgen.core import Composition, Element

SYMBOLS = frozenset(Element.from_Z(z).symbol for z in range(1, 119))
ISOTOPES = {"D": "deuterium", "T": "tritium"}  # both count as hydrogen
_MAX_LENGTH = 300
_MAX_AMOUNT = 1e6  # of one element; more is no formula that anybody wrote
_HINT = "write it as Fe2O3 or Ca(OH)2"
_ODD = {symbol for symbol in SYMBOLS if Element(symbol).Z > 83} | {"He", "Ne", "Ar", "Kr", "Xe", "Tc", "Pm"}
_SUGGESTED = 30  # letters and digits of a text for which spellings are sought

_SUBSCRIPTS = {ord(c): str(n) for n, c in enumerate("₀₁₂₃₄₅₆₇₈₉")}
_FULL_WIDTH = {0xFF01 + n: 0x21 + n for n in range(94)}
_DOTS = dict.fromkeys(map(ord, "\u00b7\u2022\u2219\u22c5\u25cf\u2027\u30fb\uff65\u00d7\u2217*"), "·")
_SPACES = {
    **dict.fromkeys(map(ord, "\t\u00a0\u2007\u2009\u202f"), " "),
    **dict.fromkeys(map(ord, "\u200b\u2060\ufeff")),
}
_PLAIN = str.maketrans(
    _SUBSCRIPTS | _FULL_WIDTH | _DOTS | _SPACES | {ord("½"): "0.5", ord("¼"): "0.25", ord("¾"): "0.75"}
)
_COMMAND = re.compile(r"\\(?:ce|mathrm|mathsf|mathit|textrm|text|rm)(?![A-Za-z])|\\[,;!: ]|\$|</?sub>")
_LATEX_DOT = re.compile(r"\{?\\(?:cdot|bullet|times|ast)(?![A-Za-z])\}?")
_SUBSCRIPT = re.compile(r"(?<=[A-Za-z)\]}])_(?:\{([0-9.]+)\}|(?=[0-9]))")

_CHARGE = re.compile("[-+^\u2212\u2013\u00b2\u00b3\u00b9\u2070-\u207f]")
_VARIABLE = re.compile(r"[xyzδn](?![a-z])|[-+\u2212\u2013](?:[xyzdδ]|delta)|(?<=[0-9])[-+][xyz]")
_ROMAN = re.compile(r"\((?:I{2,3}|IV|VI{1,3}|IX)\)|\([IVX]\)(?![0-9])")
_UNITS_OF_WATER = re.compile(r"(?:[HDT]2O|\([HDT]2O\)|OH2)(?=$|[.·])")
_ZERO_IN_WATER = re.compile(r"[HDT]20(?=$|[.·])")
_WITH_ZERO = re.compile(r"([1-9][0-9]?)0([1-9]?[0-9]?)")
_SEVERAL_DOTS = re.compile(r"([0-9]+)\.([0-9]+\.[0-9]+)")
_DOT = re.compile(r"([0-9]*)\.([0-9]*)")
_COEFFICIENT = re.compile(r"([0-9]+)/([0-9]+)|[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_TOKEN = re.compile(r"([A-Z][a-z]?)|([0-9]+(?:\.[0-9]+)?|\.[0-9]+)|([(\[{])|([)\]}])|(.)", re.DOTALL)
_SYMBOL = re.compile(r"[A-Z][a-z]?")
_PAIR = {")": "(", "]": "[", "}": "{"}
# Two elements or more with small counts and no isotope: nothing of it is doubted.
_CLEAR = re.compile(r"(?:(?![DT](?![a-z]))[A-Z][a-z]?(?:[1-9][0-9]?)?){2,}")


@dataclass(frozen=True)
class Written:
    """A formula that was read.

    Attributes:
        amounts: How much of each element, in the order of the text; all above 0.
        note: What was done or doubted to read it; "" if nothing.
    """

    amounts: Mapping[str, float]
    note: str = ""


@lru_cache(maxsize=100_000)
def read(text: str) -> Written:
    """Read a formula.

    Args:
        text: "Fe2O3", "Ca(OH)2", "CuSO4·5H2O", "CuSO4.5H2O", "Li₂S", "Li$_2$S", "Li0.5CoO2"; deuterium and tritium
            count as hydrogen.

    Raises:
        ValueError: In one line, if it is none, or can mean two things.
    """
    notes: list[str] = []
    amounts: dict[str, float] = {}
    for factor, part in _parts(text, _normal(text, notes), notes):
        for symbol, amount in _amounts(text, part).items():
            if symbol in ISOTOPES:
                notes.append(f"{ISOTOPES[symbol]} counts as hydrogen")
                symbol = "H"
            amounts[symbol] = amounts.get(symbol, 0.0) + factor * amount
    for symbol, amount in amounts.items():
        if not 0 < amount <= _MAX_AMOUNT:
            raise _refusal(text, f"{amount:g} {symbol}; an amount is more than 0 and at most {_MAX_AMOUNT:,.0f}")
    return Written(MappingProxyType(amounts), "; ".join(dict.fromkeys([*notes, *_doubts(amounts)])))


def note_on(text: str) -> str:
    """Return the note on a formula; "" if there is none, or it is no formula."""
    if _CLEAR.fullmatch(text):
        return ""
    try:
        return read(text).note
    except ValueError:
        return ""


def composition_of(text: str) -> Composition:
    """Read a formula as pymatgen's composition.

    Raises:
        ValueError: As `read`.
    """
    return Composition(dict(read(text).amounts))


def shown(text: str) -> str:
    """Quote a text on one line, cut where it is long."""
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


def meant(text: str) -> list[str]:
    """Spell a text of the wrong case as the formulas that it can mean, the likeliest first, two at most."""
    plain = re.sub(r"(?<![0-9.])0(?=[1-9])", "o", text)
    if not re.fullmatch(r"[A-Za-z0-9.()\[\]]+", plain) or len(plain) > _SUGGESTED or plain[:1].isdigit():
        return []
    ranked = _spellings(plain.lower())
    return ["".join(parts) for odd, _, parts in ranked if odd == ranked[0][0]]


def _spellings(text: str) -> list[tuple[int, int, tuple[str, ...]]]:
    """The two best spellings of a text in lower case, each with what ranks it.

    Common elements go before those that hardly any compound has, few before many. Kept are the two best of every rest
    of the text, so that the work does not grow with the number of spellings.
    """
    best: list[list[tuple[int, int, tuple[str, ...]]]] = [[(0, 0, ())]]
    for place in range(len(text) - 1, -1, -1):
        found = []
        for length in (1, 2):
            part = text[place : place + length]
            symbol = part.capitalize()
            if len(part) == length and (symbol in SYMBOLS or (length == 1 and not part.isalpha())):
                is_element = symbol in SYMBOLS
                odd = is_element and symbol in _ODD
                rests = best[length - 1]
                found += [(rest + odd, n + is_element, (symbol, *parts)) for rest, n, parts in rests]
        best.insert(0, sorted(found)[:2])
    return best[0]


def _refusal(text: str, reason: str) -> ValueError:
    return ValueError(f"{shown(text)} is no formula: {reason}")


def _normal(text: str, notes: list[str]) -> str:
    """Write a text in plain letters, digits and brackets; "·" joins the parts of a hydrate or adduct."""
    if len(text) > _MAX_LENGTH:
        raise _refusal(text, f"{len(text):,} characters, more than {_MAX_LENGTH}")
    plain = text.translate(_PLAIN).replace("\\textsubscript{", "_{")
    plain = _COMMAND.sub("", _LATEX_DOT.sub("·", plain))
    plain = _SUBSCRIPT.sub(lambda match: match[1] or "", plain).strip()
    if not plain:
        raise ValueError(f"{shown(text)} is no formula; {_HINT}")
    if _ROMAN.search(plain):
        raise _refusal(text, "it holds an oxidation state in brackets; leave it out")
    if "-" in plain and all(part in SYMBOLS or part in ISOTOPES for part in plain.split("-")):
        raise _refusal(text, "it is a phase field; give a formula, such as Fe2O3")
    if not plain[:1].islower() and _VARIABLE.search(_SYMBOL.sub("", plain)):
        raise _refusal(text, "it holds a variable; give each amount as a number")
    if _CHARGE.search(plain):
        raise _refusal(text, "it holds a charge or another sign; give the neutral formula, such as Fe2O3")
    plain = re.sub(r" *([·.]) +| +([·.]) *", "·", plain)
    if re.search(r" [0-9]", plain):
        raise _refusal(text, "a number behind a space can be an amount or begin a hydrate; write CuSO4(H2O)5")
    plain = plain.replace(" ", "")
    if re.search(r"[0-9],[0-9]", plain):
        plain = re.sub(r"(?<=[0-9]),(?=[0-9])", ".", plain)
        notes.append("decimal comma read")
    if "," in plain:
        raise _refusal(text, "it holds a comma; give each element its amount, as in (Fe0.5Mg0.5)2SiO4")
    return plain


def _parts(text: str, plain: str, notes: list[str]) -> Iterator[tuple[float, str]]:
    """Each part of a hydrate or adduct with the number before it."""
    for part in _separated(text, plain, notes).split("·"):
        found = _COEFFICIENT.match(part)
        body = part[found.end() :] if found else part
        if not body:
            raise ValueError(f"{shown(text)} is no formula; {_HINT}")
        if found is None:
            yield 1.0, body
            continue
        if re.match(r"0[0-9]|0$", found[0]) or (found[2] and not int(found[2])):
            raise _refusal(text, f"{found[0]} before {shown(body[:20])} is no number")
        if _ZERO_IN_WATER.match(body):
            raise _refusal(text, "a zero where oxygen may be meant; is it H2O?")
        yield (int(found[1]) / int(found[2]) if found[2] else float(found[0])), body


def _separated(text: str, plain: str, notes: list[str]) -> str:
    """Replace each dot that begins a further part by "·", and leave decimal points."""
    plain = _SEVERAL_DOTS.sub(r"\1·\2", plain)
    done, rest = "", plain
    while match := _DOT.search(rest):
        before, after, tail = match[1], match[2], rest[match.end() :]
        head, rest = rest[: match.start()], tail
        is_coefficient = not done + head or (done + head).endswith("·")
        if not after:
            done += f"{head}{before}·"
        elif _ZERO_IN_WATER.match(tail):
            raise _refusal(text, "a zero where oxygen may be meant; is it H2O?")
        elif is_coefficient or before == "0" or (before and not tail):
            done += f"{head}{before}.{after}"
        elif _UNITS_OF_WATER.match(tail) and not after.startswith("0"):
            done += f"{head}{before}·{after}"
            notes.append(f"read as {(done + rest).replace('·', ' · ')}")
        elif _could_begin_a_part(done + head, before, after, tail):
            raise _refusal(
                text, f"{before}.{after} can be a decimal number or begin a hydrate; write CuSO4(H2O)5, or CuSO4·5H2O"
            )
        else:
            done += f"{head}{before}.{after}"
    return done + rest


def _could_begin_a_part(head: str, before: str, after: str, tail: str) -> bool:
    """Whether a number behind a dot can be how often the rest occurs: then it has an element of what stands before."""
    if before == "1" or after.startswith("0") or not 2 <= int(after[:4]) <= 12:
        return False
    return bool(set(_SYMBOL.findall(head)) & set(_SYMBOL.findall(re.split("[·.]", tail)[0])))


def _amounts(text: str, part: str) -> dict[str, float]:
    """Amounts of one part, brackets multiplied out."""
    groups: list[tuple[str, dict[str, float]]] = [("", {})]
    last: dict[str, float] | None = None  # what a number behind it multiplies; it is not counted yet

    def count(factor: float) -> None:
        if last is not None:
            for symbol, amount in last.items():
                groups[-1][1][symbol] = groups[-1][1].get(symbol, 0.0) + factor * amount

    for symbol, number, opening, closing, other in _TOKEN.findall(part):
        if number:
            if last is None:
                raise _unread(text)
            _check_zero(text, number)
            count(float(number))
            last = None
            continue
        count(1.0)
        last = None
        if symbol:
            if symbol not in SYMBOLS and symbol not in ISOTOPES:
                raise _unread(text, symbol)
            last = {symbol: 1.0}
        elif opening:
            groups.append((opening, {}))
        elif closing and groups[-1][0] == _PAIR[closing] and groups[-1][1]:
            last = groups.pop()[1]
        elif closing:
            raise _refusal(text, "a bracket without its other half, or an empty one")
        else:
            raise _unread(text, other)
    count(1.0)
    if len(groups) > 1:
        raise _refusal(text, "a bracket that is not closed")
    return groups[0][1]


def _check_zero(text: str, number: str) -> None:
    """Refuse a number in which a zero must be an oxygen."""
    if len(number) > 20:
        raise _refusal(text, f"a number of {len(number)} digits")
    if re.match(r"0[0-9]|0$", number):
        oxide = text.replace(number, f"O{number[1:]}", 1)
        raise _refusal(text, f"a zero where oxygen may be meant; is it {shown(oxide)[1:-1]}?")


def _unread(text: str, part: str = "") -> ValueError:
    """Say what cannot be read, and what may be meant."""
    found = meant(text.strip())
    if found:
        return _refusal(
            text, f"symbols begin with a capital letter and go on in lower case; is it {' or '.join(found)}?"
        )
    if len(part) > 1 or part.isalpha():
        return ValueError(f"{shown(text)} is no formula: {shown(part)} is no element; {_HINT}")
    return ValueError(f"{shown(text)} is no formula; {_HINT}")


def _doubts(amounts: Mapping[str, float]) -> list[str]:
    """Doubt a zero that may be an oxygen, where there is no other: Al203, and H20 alone."""
    if "O" in amounts:
        return []
    doubts = []
    for symbol, amount in amounts.items():
        found = _WITH_ZERO.fullmatch(f"{amount:g}")
        if found and (found[2] or (len(amounts) == 1 and symbol != "C")):
            doubts.append(f"{amount:g} {symbol}; if the zero is an oxygen, write {symbol}{found[1]}O{found[2]}")
    return doubts
