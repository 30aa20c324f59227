"""Kinds of structures as people call them: families of an index, space groups, structure types with their minerals.

A type is known here by space group and ratio of elements alone, since an index holds no sites: what it finds can be
another type with the same two, which `StructureType.alike` names.

References: Mehl et al., Comput. Mater. Sci. 136, S1 (2017), doi:10.1016/j.commatsci.2017.01.017 (prototypes with
their minerals, space groups and Strukturbericht symbols); symbols of space groups as gemmi reads them (Wojdyr, J. Open
Source Softw. 7, 4200 (2022), doi:10.21105/joss.04200).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from matgen_core.materials.notation import shown


@dataclass(frozen=True)
class Structures:
    """What is known of the structures of some materials beside their formulas, one entry a material.

    Attributes:
        families: Family of each, "" where it has none; empty if nothing is known of any.
        space_groups: Number of each, from 1 to 230, None where it is not known; empty likewise.
    """

    families: Sequence[str] = ()
    space_groups: Sequence[int | None] = ()

    def of(self, row: int) -> tuple[str, int | None]:
        """Return family and space group of a material."""
        family = self.families[row] if self.families else ""
        return family, self.space_groups[row] if self.space_groups else None


@dataclass(frozen=True)
class StructureType:
    """A structure type.

    Attributes:
        names: What it is called, the usual name first; its Strukturbericht symbol, if it has one, is the last.
        space_group: Number.
        ratio: Elements by falling or rising number, as pymatgen writes an anonymous formula: "AB2".
        families: Families of an index that are of this type.
        alike: Other types with the same space group and ratio.
    """

    names: tuple[str, ...]
    space_group: int
    ratio: str
    families: tuple[str, ...] = ()
    alike: str = ""


TYPES = (
    StructureType(("rock salt", "rocksalt", "halite", "periclase", "NaCl type", "B1"), 225, "AB"),
    StructureType(("CsCl type", "caesium chloride", "cesium chloride", "B2"), 221, "AB"),
    StructureType(("zinc blende", "zincblende", "sphalerite", "ZnS type", "B3"), 216, "AB"),
    StructureType(("fluorite", "antifluorite", "CaF2 type", "C1"), 225, "AB2"),
    StructureType(("pyrite", "FeS2 type", "C2"), 205, "AB2"),
    StructureType(("cuprite", "Cu2O type", "C3"), 224, "AB2"),
    StructureType(("Laves phase", "cubic Laves phase", "Laves", "MgCu2 type", "C15"), 227, "AB2"),
    StructureType(("Zintl phase", "NaTl type", "B32"), 227, "AB"),
    StructureType(("FeSi type", "B20"), 198, "AB"),
    StructureType(("Cu3Au type", "auricupride", "L1_2"), 221, "AB3", alike="the ReO3 type"),
    StructureType(("ReO3 type", "D0_9"), 221, "AB3", alike="the Cu3Au type"),
    StructureType(("BiF3 type", "Fe3Al type", "D0_3"), 225, "AB3"),
    StructureType(("Cr3Si type", "A15"), 223, "AB3"),
    StructureType(("skutterudite", "D0_2"), 204, "AB3"),
    StructureType(("Th3P4 type", "D7_3"), 220, "A3B4"),
    StructureType(("CaB6 type", "hexaboride", "D2_1"), 221, "AB6"),
    StructureType(("UB12 type", "dodecaboride", "D2_f"), 225, "AB12"),
    StructureType(
        ("perovskite", "cubic perovskite", "antiperovskite", "SrTiO3 type", "E2_1"), 221, "ABC3", ("abx3", "perov5")
    ),
    StructureType(("full Heusler", "Cu2MnAl type", "L2_1"), 225, "ABC2"),
    StructureType(("half Heusler", "MgAgAs type", "C1_b"), 216, "ABC"),
    StructureType(("inverse Heusler", "Li2AgSb type", "XA"), 216, "ABC2"),
    StructureType(("spinel", "H1_1"), 227, "AB2C4"),
    StructureType(("elpasolite", "K2NaAlF6 type"), 225, "ABC2D6"),
)
_LETTERS = re.compile(r"[\s_-]+")
_CLOSE = 0.7  # of a word to a name, for the name to be suggested
_N_CLOSE = 3
_PART = 4  # letters that find the names that hold them
Kind = Callable[[str, int | None, str], bool]  # family, space group, ratio


def key(name: str) -> str:
    """Return a name as names are compared: without capitals, spaces, hyphens, underscores and the s of a plural."""
    plain = _LETTERS.sub("", name).lower()
    return plain.removesuffix("s") if len(plain) > 4 else plain


@cache
def _by_name() -> dict[str, StructureType]:
    return {key(name): each for each in TYPES for name in each.names}


def _type(word: str) -> StructureType | None:
    """The type that a word names, also as "B1 type" or "halite structure"."""
    name = re.sub("structure$", "type", key(word))
    return _by_name().get(name) or _by_name().get(name.removesuffix("type"))


@cache
def _phrases() -> re.Pattern[str]:
    """Names of more than one word, and space groups that are written with spaces; the longest first."""
    import gemmi

    names = [re.split(r"[\s_-]", name) for each in TYPES for name in each.names]
    words = [r"[\s_-]+".join([*map(re.escape, parts[:-1]), f"{parts[-1]}s?"]) for parts in names if len(parts) > 1]
    words = [re.sub(r"types\?$", "(?:type|structure)s?", each) for each in words]
    words += [rf"{parts[0]}[\s_-]+(?:type|structure)s?" for parts in names if len(parts) == 1]
    groups = [r"\s+".join(map(re.escape, each.hm.split())) for each in gemmi.spacegroup_table_itb()]
    every = sorted({*words, *(each for each in groups if each.count(r"\s+") > 1)}, key=len, reverse=True)
    return re.compile(rf"(?<![^\s:])(?:{'|'.join(every)})(?!\S)", re.IGNORECASE)


def joined(text: str) -> str:
    """Make one word of every name of several words in a search line: "rock salt has:O" is "rock_salt has:O"."""
    return _phrases().sub(lambda found: re.sub(r"\s+", "_", found[0]), text)


def space_group(word: str) -> int | None:
    """Return the number of a space group from its symbol in any spelling, or from its number; None if it is neither."""
    import gemmi

    if re.fullmatch(r"[0-9]{1,3}", word):
        return int(word) if 1 <= int(word) <= 230 else None
    plain = word.replace("_", "")
    if not 1 < len(plain) <= 20 or plain[:1] not in "PABCIFRpabcifr":
        return None
    found = gemmi.find_spacegroup_by_name(plain[0].upper() + plain[1:].lower())
    return None if found is None else int(found.number)


def kind(word: str, known: Structures) -> Kind | None:
    """Return what a bare word asks of structures, None if it names no kind of structure.

    Raises:
        ValueError: If nothing is known by which it could be answered.
    """
    name = key(word)
    if name in {key(each) for each in known.families}:
        return lambda family, group, ratio: key(family) == name
    if asked := _type(word):
        return _of_type(word, asked, known)
    return by_group(word, known) if space_group(word) is not None and not word.isdigit() else None


def by_group(word: str, known: Structures) -> Kind:
    """Return what `group:` asks.

    Raises:
        ValueError: If the word is no space group, or no space groups are known here.
    """
    number = space_group(word)
    if number is None:
        raise ValueError(f"{shown(word)} is no space group; write its symbol or number, as in group:Fm-3m or group:225")
    if not known.space_groups:
        raise ValueError(f"{shown(word)} is a space group, and none is known of the materials here; search by elements")
    return lambda family, group, ratio: group == number


def by_type(word: str, known: Structures) -> Kind:
    """Return what `type:` asks.

    Raises:
        ValueError: If the word is neither a structure type nor a family, or nothing is known of structures here.
    """
    name = key(word)
    if name in {key(each) for each in known.families} or _type(word):
        found = kind(word, known)
        if found is not None:
            return found
    close = nearest(word, known)
    raise ValueError(
        f"{shown(word)} is no structure type{f' (is it {_either(close)}?)' if close else ''}; write one as in"
        " type:perovskite or type:rock-salt"
    )


def nearest(word: str, known: Structures) -> list[str]:
    """Return the names of kinds of structures that look most like a word."""
    names = {key(name): name for each in TYPES for name in each.names}
    names |= {key(each): each for each in known.families if each}
    name = key(word)
    found = get_close_matches(name, names, _N_CLOSE, _CLOSE)
    if len(name) >= _PART:
        found += [each for each in names if name in each]
    return list(dict.fromkeys(names[each] for each in found))[:_N_CLOSE]


def title(family: str, group: int | None, ratio: str) -> str:
    """Return the usual name of the type with a space group and a ratio, else the family; "" if neither is known."""
    return next((each.names[0] for each in TYPES if (each.space_group, each.ratio) == (group, ratio)), family)


def remark(text: str) -> list[str]:
    """Return what has to be said of the structure types that a search line names, a line each."""
    found = [(word, _type(word.partition(":")[2] or word)) for word in joined(text).split()]
    return [
        f"{word.replace('_', ' ')}: by space group and ratio of elements, so {each.alike} is found, too"
        for word, each in found
        if each is not None and each.alike
    ]


def _of_type(word: str, asked: StructureType, known: Structures) -> Kind:
    families = {each for each in asked.families if each in known.families}
    if not families and not known.space_groups:
        raise ValueError(
            f"{shown(word.replace('_', ' '))} is a structure type, and no structures are known of the materials here;"
            " search by elements"
        )
    return lambda family, group, ratio: family in families or (group == asked.space_group and ratio == asked.ratio)


def _either(names: list[str]) -> str:
    return " or ".join(names)
