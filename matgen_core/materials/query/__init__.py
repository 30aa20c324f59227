"""A search line over materials: `Li-*-S-*`, `has:Li not:Pb n<=4`, `Fe2O3`, `perovskite`, `Fm-3m`.

Every term must hold. A material is a formula ("LiFePO4") or a phase field ("Li-Sn-S-Cl"); a formula in the
search finds the same formula, and the phase fields that it lies in. Kinds of structures are asked of `Structures`.
"""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from matgen_core.materials.fields import DASHES
from matgen_core.materials.notation import ISOTOPES, SYMBOLS, composition_of, meant, note_on, shown
from matgen_core.materials.query import structures
from matgen_core.materials.query.structures import Structures
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
_KINDS: dict[str, Callable[[str, Structures], structures.Kind]] = {
    "group": structures.by_group,
    "type": structures.by_type,
}
MAX_LENGTH = 1_000  # letters; more than anybody writes
_MOST_OF_A_TERM = 400  # letters; "only:" with every element has 300
_MOST_OF_A_FORMULA = 5  # letters of a word that is rather a misspelled formula than a misspelled name
_PLAIN_DASHES = str.maketrans(dict.fromkeys(DASHES, "-"))
HELP = "Li-*-S-* · has:Li,S · any:S,Se · not:Pb · only:Li,P,S · n<=4 · Fe2O3; every term must hold"
HELP_ON_STRUCTURES = "perovskite · rock salt · group:Fm-3m · group:225"
NO_STRUCTURES = Structures()
_Term = Callable[[str, str, "int | None"], bool]  # material, family, space group


@dataclass(frozen=True)
class Query:
    """A search line that has been understood."""

    text: str
    _terms: tuple[_Term, ...]

    def matches(self, material: str, family: str = "", space_group: int | None = None) -> bool:
        """Tell whether a formula or a phase field keeps to every term.

        Args:
            material: The formula or phase field.
            family: Of its structure, "" if it has none.
            space_group: Number, None if it is not known.

        Raises:
            ValueError: If the material is neither.
        """
        return all(term(material, family, space_group) for term in self._terms)


def parse(text: str, known: Structures = NO_STRUCTURES) -> Query:
    """Read a search line; an empty one matches everything.

    Args:
        text: Terms parted by spaces. `Li-*-S`: exactly these elements, each `*` any further one. `has:Li,S`: all
            of these. `any:S,Se`: at least one. `not:Pb`: none. `only:Li,P,S`: no others. `n<=4`: number of
            elements (=, <, >, <=, >=). A symbol alone is `has:`. A formula: the same reduced formula. `Fm-3m`,
            `group:225`: a space group. `perovskite`, `type:rock-salt`: a structure type or a family, in any case.
        known: What is known of the structures that are searched.

    Raises:
        ValueError: If a term is none of these or names no element, or the line is too long, or it asks for what is
            not known.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(
            f"a search line of {len(text):,} letters; at most {MAX_LENGTH:,} are read, so shorten it or ask in parts"
        )
    return Query(text.strip(), tuple(_term(word, known) for word in _words(text)))


def find(text: str, materials: Iterable[str], ids: Sequence[str] = (), known: Structures = NO_STRUCTURES) -> list[bool]:
    """Tell for each formula or phase field whether it keeps to a search line.

    Args:
        text: As `parse` takes it.
        materials: Formulas or phase fields.
        ids: Their names in a data set, such as mp-149; a line that is one of them finds that one alone.
        known: What is known of their structures, in the same order.

    Raises:
        ValueError: If the line cannot be understood or a material is neither formula nor phase field.
    """
    if text.strip() in ids:
        return [name == text.strip() for name in ids]
    query = parse(text, known)
    return [query.matches(material, *known.of(row)) for row, material in enumerate(materials)]


def notes(text: str) -> list[str]:
    """Return what was done to read a search line, a line each: "D2O: deuterium counts as hydrogen"."""
    said = [(word, note_on(word)) for word in text.translate(_PLAIN_DASHES).split()]
    return [*(f"{word}: {note}" for word, note in said if note), *structures.remark(text[:MAX_LENGTH])]


def suggestions(text: str, known: Structures = NO_STRUCTURES) -> list[str]:
    """Return the lines that a search line can have meant whose first unknown word is nearly a known one."""
    words = _words(text[:MAX_LENGTH])
    for place, word in enumerate(words):
        try:
            _term(word, known)
        except ValueError:
            near = _near(word, known)
            lines = [" ".join([*words[:place], each, *words[place + 1 :]]).replace("_", " ") for each in near]
            return [line for line in dict.fromkeys(lines) if _is_understood(line, known)]
    return []


def _is_understood(text: str, known: Structures) -> bool:
    try:
        parse(text, known)
    except ValueError:
        return False
    return True


def _words(text: str) -> list[str]:
    return structures.joined(text.translate(_PLAIN_DASHES)).split()


def _term(word: str, known: Structures) -> _Term:
    if len(word) > _MOST_OF_A_TERM:
        raise ValueError(f"{shown(word)} has {len(word):,} letters; a search term has at most {_MOST_OF_A_TERM}")
    kind = _kind(word, known)
    if kind is not None:
        return lambda material, family, group: kind(family, group, ratio(material))
    asked = _element_term(word, known)
    return lambda material, family, group: asked(material)


def _kind(word: str, known: Structures) -> structures.Kind | None:
    """What a word asks of structures, None if it asks of elements."""
    name, colon, asked = word.partition(":")
    if colon:
        return _KINDS[name](asked, known) if name in _KINDS else None
    return None if _is_of_elements(word) or _ID.fullmatch(word) else structures.kind(word, known)


def _is_of_elements(word: str) -> bool:
    """Tell a formula or a phase field from a space group or a name that could be one: C2, P-N."""
    if "-" in word:
        return all(part in SYMBOLS or part == "*" for part in word.split("-"))
    try:
        return bool(_elements(word))
    except ValueError:
        return False


def _element_term(word: str, known: Structures) -> Callable[[str], bool]:
    if comparison := _COMPARISON.fullmatch(word):
        compare, n = _COMPARE[comparison[1]], int(comparison[2])
        return lambda material: compare(len(_elements(material)), n)
    name, colon, symbols = word.partition(":")
    if colon:
        if name not in _SETS:
            terms = ", ".join(f"{each}:" for each in (*_SETS, *_KINDS))
            raise ValueError(f"{shown(word)}: {shown(name)} is no search term; use {terms} or n<=4")
        holds, asked = _SETS[name], _symbols(word, symbols.split(","))
        return lambda material: holds(_elements(material), asked)
    if _ID.fullmatch(word):
        raise ValueError(f"no material with the id {shown(word)} here; write it as the tables do, or search by formula")
    if "-" in word or word == "*":
        parts = word.split("-")
        asked = _symbols(word, [part for part in parts if part != "*"])
        if len(asked) + parts.count("*") != len(parts):
            raise ValueError(f"{shown(word)} names an element twice; name each once, as in Li-*-S")
        return lambda material: len(_elements(material)) == len(parts) and asked <= _elements(material)
    if word in SYMBOLS or word in ISOTOPES:
        asked = _symbols(word, [word])
        return lambda material: asked <= _elements(material)
    return _formula_term(word, known)


def _formula_term(word: str, known: Structures) -> Callable[[str], bool]:
    try:
        field = _elements(word)
    except ValueError as error:
        hint, name = _hint(word, known), word.replace("_", " ")
        raise ValueError(f"{shown(name)} is no element, formula or search term{hint}; try {HELP}") from error
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


def _hint(word: str, known: Structures = NO_STRUCTURES) -> str:
    """What a word of the wrong case, or an isotope, or one that is nearly a known one can mean."""
    if word in ISOTOPES:
        return f" ({ISOTOPES[word]} counts as hydrogen here: H)"
    found = _near(word, known)
    return f" (is it {' or '.join(found)}?)" if found else ""


def _near(word: str, known: Structures) -> list[str]:
    """What a word can have meant: a long one a structure, since HEuSSLr is a formula too, a short one a formula."""
    named = structures.nearest(word, known) if known != NO_STRUCTURES else []
    return named if named and len(word) > _MOST_OF_A_FORMULA else [*meant(word), *named]


def _elements(material: str) -> frozenset[str]:
    return frozenset(symbols_of(chemical_system(material)))


@lru_cache(maxsize=500_000)
def _reduced(formula: str) -> str:
    return composition_of(formula).reduced_formula


@lru_cache(maxsize=500_000)
def ratio(material: str) -> str:
    """Return the ratio of elements of a formula, "AB2"; "" for a phase field."""
    return "" if "-" in material else composition_of(material).anonymized_formula
