"""A search line over materials: `Li-*-S-*`, `has:Li not:Pb n<=4`, `Fe2O3`.

Every term must hold. A material is a formula ("LiFePO4") or a phase field ("Li-Sn-S-Cl"); a formula in the
search finds the same formula, and the phase fields that it lies in.
"""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from matgen_core.materials.fields import DASHES
from matgen_core.materials.notation import ISOTOPES, SYMBOLS, composition_of, meant, note_on, shown
from matgen_core.materials.systems import chemical_system, symbols_of

_COMPARISON = re.compile(r"n(<=|>=|=|<|>)([0-9]{1,3})")
_ID = re.compile(r"[A-Za-z]+-\d+")  # as data sets name their materials: mp-149
_COMPARE = {"<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt, ">": operator.gt}
_SETS: dict[str, Callable[[frozenset[str], frozenset[str]], bool]] = {
    "has": lambda found, asked: asked <= found,
    "any": lambda found, asked: bool(asked & found),
    "not": lambda found, asked: not asked & found,
    "only": lambda found, asked: found <= asked,
}
MAX_LENGTH = 1_000  # letters; more than anybody writes
_MOST_OF_A_TERM = 400  # letters; "only:" with every element has 300
_PLAIN_DASHES = str.maketrans(dict.fromkeys(DASHES, "-"))
HELP = "Li-*-S-* · has:Li,S · any:S,Se · not:Pb · only:Li,P,S · n<=4 · Fe2O3; every term must hold"


@dataclass(frozen=True)
class Query:
    """A search line that has been understood."""

    text: str
    _terms: tuple[Callable[[str], bool], ...]

    def matches(self, material: str) -> bool:
        """Tell whether a formula or a phase field keeps to every term.

        Raises:
            ValueError: If the material is neither.
        """
        return all(term(material) for term in self._terms)


def parse(text: str) -> Query:
    """Read a search line; an empty one matches everything.

    Args:
        text: Terms parted by spaces. `Li-*-S`: exactly these elements, each `*` any further one. `has:Li,S`: all
            of these. `any:S,Se`: at least one. `not:Pb`: none. `only:Li,P,S`: no others. `n<=4`: number of
            elements (=, <, >, <=, >=). A symbol alone is `has:`. A formula: the same reduced formula.

    Raises:
        ValueError: If a term is none of these or names no element, or the line is too long.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(
            f"a search line of {len(text):,} letters; at most {MAX_LENGTH:,} are read, so shorten it or ask in parts"
        )
    return Query(text.strip(), tuple(_term(word) for word in text.translate(_PLAIN_DASHES).split()))


def find(text: str, materials: Iterable[str], ids: Sequence[str] = ()) -> list[bool]:
    """Tell for each formula or phase field whether it keeps to a search line.

    Args:
        text: As `parse` takes it.
        materials: Formulas or phase fields.
        ids: Their names in a data set, such as mp-149; a line that is one of them finds that one alone.

    Raises:
        ValueError: If the line cannot be understood or a material is neither formula nor phase field.
    """
    if text.strip() in ids:
        return [name == text.strip() for name in ids]
    query = parse(text)
    return [query.matches(material) for material in materials]


def notes(text: str) -> list[str]:
    """Return what was done to read the formulas of a search line, a line each: "D2O: deuterium counts as hydrogen"."""
    said = [(word, note_on(word)) for word in text.translate(_PLAIN_DASHES).split()]
    return [f"{word}: {note}" for word, note in said if note]


def _term(word: str) -> Callable[[str], bool]:
    if len(word) > _MOST_OF_A_TERM:
        raise ValueError(f"{shown(word)} has {len(word):,} letters; a search term has at most {_MOST_OF_A_TERM}")
    if comparison := _COMPARISON.fullmatch(word):
        compare, n = _COMPARE[comparison[1]], int(comparison[2])
        return lambda material: compare(len(_elements(material)), n)
    name, colon, symbols = word.partition(":")
    if colon:
        if name not in _SETS:
            raise ValueError(
                f"{shown(word)}: {shown(name)} is no search term; use {', '.join(f'{key}:' for key in _SETS)} or n<=4"
            )
        holds, asked = _SETS[name], _symbols(word, symbols.split(","))
        return lambda material: holds(_elements(material), asked)
    if _ID.fullmatch(word):
        raise ValueError(f"{shown(word)} looks like the name of a material, and none here is called so; try {HELP}")
    if "-" in word or word == "*":
        parts = word.split("-")
        asked = _symbols(word, [part for part in parts if part != "*"])
        if len(asked) + parts.count("*") != len(parts):
            raise ValueError(f"{shown(word)} names an element twice; name each once, as in Li-*-S")
        return lambda material: len(_elements(material)) == len(parts) and asked <= _elements(material)
    if word in SYMBOLS or word in ISOTOPES:
        asked = _symbols(word, [word])
        return lambda material: asked <= _elements(material)
    return _formula_term(word)


def _formula_term(word: str) -> Callable[[str], bool]:
    try:
        field = _elements(word)
    except ValueError as error:
        raise ValueError(f"{shown(word)} is no element, formula or search term{_hint(word)}; try {HELP}") from error
    reduced = _reduced(word)
    return lambda material: _elements(material) == field if "-" in material else _reduced(material) == reduced


def _symbols(word: str, symbols: Iterable[str]) -> frozenset[str]:
    symbols = [symbol.strip() for symbol in symbols]
    for symbol in symbols:
        if symbol not in SYMBOLS:
            raise ValueError(
                f"{shown(word)}: {shown(symbol)} is no element{_hint(symbol)}; write symbols as in Li-*-S or has:Li,S"
            )
    return frozenset(symbols)


def _hint(word: str) -> str:
    """What a word of the wrong case, or an isotope, can mean."""
    if word in ISOTOPES:
        return f" ({ISOTOPES[word]} counts as hydrogen here: H)"
    found = meant(word)
    return f" (is it {' or '.join(found)}?)" if found else ""


def _elements(material: str) -> frozenset[str]:
    return frozenset(symbols_of(chemical_system(material)))


@lru_cache(maxsize=500_000)
def _reduced(formula: str) -> str:
    return composition_of(formula).reduced_formula
