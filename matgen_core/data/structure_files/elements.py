"""Which element a symbol or a label of a file means, and what is no element: vacancies, groups, mixtures, dummies."""

import re
from collections.abc import Collection

from pymatgen.core import Element

from matgen_core.data.structure_files.reading import shown

SYMBOLS = frozenset(element.symbol for element in Element) - {"D", "T"}
_ISOTOPES = {"D": "deuterium", "T": "tritium"}
_CHARGE = re.compile(r"\d*\.?\d*[+-]{0,3}|[+-]{1,3}\d*\.?\d*|\(?[IVX]+\)?|0[+-]?", re.ASCII)
_VALENCE = {"cval": "C", "siva": "Si", "sival": "Si"}  # of International Tables C: bonded, not free atoms
_MIXED = re.compile(r"\(?[A-Za-z][a-z]?[\d.]*\s*(?:[,/+&;|:]\s*[A-Za-z]|[-_\s]\s*[A-Z][a-z])")
_WATER = re.compile(r"(?:wat|WAT|Wat|H2O|OH2|HOH|OH|Oh|OW|Ow)(?![B-Zb-z])\d*.{0,2}")
_GROUPS = re.compile(
    r"(?:NH[34]|H3O|PO[34]|SO[34]|CO3|NO[23]|ClO4|BF4|PF6|SiO4|VO4|CrO4|MoO4|WO4|AsO4|SeO4|MnO4|SCN|NCS|N3|BH4|BO3|CH3|CN)"
    r"(?![A-Za-z0-9])"
)
_VACANCY = re.compile(r"(?:[Vv]a|VA|[Vv]ac|VAC|Vc)(?:ancy)?(?![A-Za-z])")
_CONFUSED = ("HO", "CO", "NO", "PO", "NH")  # groups as often as elements
_HEAVIEST = 103  # what a label alone can mean; nobody has a crystal of nihonium


def element_of(text: str, what: str, formula: Collection[str] | None = None, is_label: bool = False) -> tuple[str, str]:
    """Tell which element a symbol or a label means.

    Args:
        text: "Fe", "Fe3+", "FE", "D"; of a label also "Fe1", "O2A", "Ow3".
        what: What a message calls it: "type symbol", "label".
        formula: Elements of the file's formula, which decide where a label can mean two.
        is_label: Whether it is a site's label, in which only the beginning names an element.

    Returns:
        The element's symbol, and a note where the text does not say it clearly, else "".

    Raises:
        ValueError: If it names no element, several, or one of two that nothing decides between.
    """
    head = text[: len(text) - len(text.lstrip(_LETTERS))]
    tail = text[len(head) :]
    named = f"{what} {shown(text)}"
    if not is_label and _CHARGE.fullmatch(tail):
        if head in SYMBOLS:
            return head, ""
        if head.lower() in _VALENCE:
            return _VALENCE[head.lower()], ""
        if head.isupper() and head.capitalize() in SYMBOLS and head not in _CONFUSED and formula is None:
            return head.capitalize(), f"{named} read as {head.capitalize()}"
    if head in _ISOTOPES and (not is_label or head == "D" or (formula and "W" not in formula and "H" in formula)):
        return "H", f"{_ISOTOPES[head]} ({named}) counts as hydrogen"
    if _MIXED.match(text):
        raise ValueError(f"{named} names several elements; write a row for each, with its occupancy")
    symbol, said = _of_label(text, head, named, formula)
    return symbol, said or ("" if is_label else f"{named} read as {symbol}")


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _of_label(text: str, head: str, named: str, formula: Collection[str] | None) -> tuple[str, str]:
    if not head:
        raise ValueError(f"{named} begins with no element; give the element's symbol")
    one, two = head[0].upper(), head[:2].capitalize()
    one_is, two_is = one in SYMBOLS, len(head) > 1 and two in SYMBOLS
    clear = two_is and head[:2] == two and Element(two).Z <= _HEAVIEST
    water = _WATER.fullmatch(text) and not (formula is not None and "O" not in formula)
    if water and not (formula is not None and head[:2] in formula):
        return "O", f"{named} read as O; hydrogen on it has no site"
    if _GROUPS.match(text) and not (formula and one not in formula and two in formula):
        raise ValueError(f"{named} names a group of atoms, not an element; give each atom its site")
    if formula is not None:
        return _by_formula(head, named, formula, one, two, clear)
    if _VACANCY.match(text):
        raise ValueError(f"{named} is no element (a vacancy?); leave empty sites out, or give the element's symbol")
    rest = head[2:]
    if clear and rest[:2].capitalize() in SYMBOLS and len(rest) == 2 and rest != rest.lower():
        raise ValueError(f"{named} names several elements; write a row for each, with its occupancy")
    if clear:
        return two, f"{named} read as {two}" if rest else ""
    if len(head) == 1 and one_is and one != "W":
        return one, "" if head == one else f"{named} read as {one}"
    if one == "W" and len(head) == 1:
        raise ValueError(f"{named} can be tungsten or water; give the element's symbol, or the formula")
    if head[1:2].isupper():
        if two_is and one_is and head[1] in SYMBOLS:
            raise ValueError(f"{named} can be {two} or {one}; give the element's symbol, or the formula")
        if two_is or one_is:
            found = two if two_is else one
            return found, f"{named} read as {found}"
    if head == head.lower() and two_is:
        return two, f"{named} read as {two}"
    raise ValueError(f"{named} is no element; give its symbol")


def _by_formula(head: str, named: str, formula: Collection[str], one: str, two: str, clear: bool) -> tuple[str, str]:
    """Decide by the elements of the file's formula."""
    whole = len(head) == 1 or (len(head) == 2 and clear)
    first, second = (one, two) if len(head) == 1 or head[1].isupper() else (two, one)
    if first in formula and second in formula and first != second and head[1:2].isupper() and len(head) > 1:
        raise ValueError(f"{named} can be {first} or {second}, and the formula has both; give the element's symbol")
    if first in formula:
        return first, "" if whole else f"{named} read as {first}"
    if second in formula:
        return second, f"{named} read as {second}, which the formula names"
    if one == "W" and len(head) == 1 and "O" in formula:
        return "O", f"{named} read as water's O, since the formula has no W; its hydrogen has no site"
    if whole and first in SYMBOLS and first not in ("W", "V"):
        return first, ""
    raise ValueError(f"{named} is none of the elements of the file's formula ({', '.join(sorted(formula))})")
