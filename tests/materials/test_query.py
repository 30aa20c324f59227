"""The search line: what each term means, and what is said of a line that cannot be understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matgen_core.materials import query
from matgen_core.materials.query.structures import TYPES, Structures
from tests.support.rows import each_row

SYMBOLS = ("Li", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "O", "Sn", "Pb", "Zn")
fields = st.sets(st.sampled_from(SYMBOLS), min_size=2, max_size=5).map(lambda symbols: "-".join(sorted(symbols)))


@each_row(
    ("text", "found"),
    [
        ("", ["Cl-Li-S-Sn", "Li-O-P-S", "O-Pb-S-Zn", "Li-S", "Li2S", "LiFePO4"]),
        ("Li-*-S-*", ["Cl-Li-S-Sn", "Li-O-P-S"]),
        ("S-Li", ["Li-S", "Li2S"]),
        ("has:Li,S", ["Cl-Li-S-Sn", "Li-O-P-S", "Li-S", "Li2S"]),
        ("Li not:Sn,P", ["Li-S", "Li2S"]),
        ("any:Sn,Pb", ["Cl-Li-S-Sn", "O-Pb-S-Zn"]),
        ("only:Li,S,P,O", ["Li-O-P-S", "Li-S", "Li2S"]),
        ("n<=2", ["Li-S", "Li2S"]),
        ("n>2 n<5 not:O", ["Cl-Li-S-Sn"]),
        ("n<4", ["Li-S", "Li2S"]),
        ("n>3 n>=4 not:O", ["Cl-Li-S-Sn"]),
        ("n=4 Fe", ["LiFePO4"]),
        ("Li2S", ["Li-S", "Li2S"]),
        ("Li4Fe2P2O8", []),
        ("Li2Fe2P2O8", ["LiFePO4"]),
    ],
)
def test_terms(text: str, found: list[str]) -> None:
    materials = ["Cl-Li-S-Sn", "Li-O-P-S", "O-Pb-S-Zn", "Li-S", "Li2S", "LiFePO4"]
    hits = query.find(text, materials)
    assert [name for name, hit in zip(materials, hits, strict=True) if hit] == found


@given(fields, st.sampled_from(SYMBOLS))
def test_not_is_the_contrary_of_has(field: str, symbol: str) -> None:
    assert query.parse(f"has:{symbol}").matches(field) != query.parse(f"not:{symbol}").matches(field)


@given(fields)
def test_a_field_finds_itself_in_any_order_and_with_any_element_left_open(field: str) -> None:
    symbols = field.split("-")
    assert query.parse("-".join(reversed(symbols))).matches(field)
    for i in range(len(symbols)):
        assert query.parse("-".join([*symbols[:i], "*", *symbols[i + 1 :]])).matches(field)
    assert not query.parse(f"{field}-*").matches(field)


@each_row(
    ("text", "named"),
    [
        ("has:Xx", "'Xx' is no element"),
        ("has:", "'' is no element"),
        ("li-*", "'li' is no element"),
        ("foo:Li", "'foo' is no search term"),
        ("Li-*-Li", "names an element twice"),
        ("hello", "'hello' is no element, formula"),
        ("n<=x", "'n<=x' is no element, formula"),
        ("n<=" + "9" * 350, "is no element, formula"),
        ("n<=٣", "'n<=٣' is no element, formula"),
        ("Na1e999", "'Na1e999' is no element, formula"),
        ("Na" + "9" * 350, "is no element, formula"),
        ("x" * 300, f"'{'x' * 59}…' is no element, formula"),
        ("mp-99999999", "no material with the id 'mp-99999999' here"),
        ("made-1 has:Li", "no material with the id 'made-1' here"),
        ("(Na" * 50_000, "a search line of 150,000 letters; at most 1,000 are read"),
    ],
)
def test_a_line_that_cannot_be_understood_is_named(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=r".+; .+|.+ or .+|try ") as error:
        query.parse(text)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


# A family, a space group and a formula each.
CRYSTALS = {
    "NaCl": ("binary", 225),
    "CsCl": ("binary", 221),
    "ZnS": ("binary", 216),
    "CaF2": ("binary", 225),
    "Cu3Au": ("binary", 221),
    "Cr3Si": ("binary", 223),
    "MgCu2": ("binary", 227),
    "FeS2": ("binary", 205),
    "SrTiO3": ("abx3", 221),
    "MnCu2Al": ("heusler", 225),
    "LiAgSb": ("heusler", 216),
    "Li2AgSb": ("heusler", 216),
    "BaTiO3": ("perov5", None),
}
KNOWN = Structures(*zip(*CRYSTALS.values(), strict=True))  # type: ignore[arg-type]


@each_row(
    ("text", "found"),
    [
        ("Fm-3m", ["NaCl", "CaF2", "MnCu2Al"]),
        ("fm-3M has:Na", ["NaCl"]),
        ("Fm3m not:F", ["NaCl", "MnCu2Al"]),
        ("F m -3 m any:Na,Al", ["NaCl", "MnCu2Al"]),
        ("group:225 n=3", ["MnCu2Al"]),
        ("group:Fd-3m", ["MgCu2"]),
        ("pm-3m n=2", ["CsCl", "Cu3Au"]),
        ("group:1", []),
        ("perovskite", ["SrTiO3", "BaTiO3"]),
        ("Perovskites has:Sr", ["SrTiO3"]),
        ("abx3", ["SrTiO3"]),
        ("ABX3", ["SrTiO3"]),
        ("perov5", ["BaTiO3"]),
        ("Heusler", ["MnCu2Al", "LiAgSb", "Li2AgSb"]),
        ("full heusler", ["MnCu2Al"]),
        ("HALF-HEUSLERS", ["LiAgSb"]),
        ("inverse_heusler", ["Li2AgSb"]),
        ("rock salt", ["NaCl"]),
        ("Rock-salt has:Cl", ["NaCl"]),
        ("has:Na rocksalt", ["NaCl"]),
        ("halite", ["NaCl"]),
        ("NaCl structure", ["NaCl"]),
        ("type:B1", ["NaCl"]),
        ("type:rock salt", ["NaCl"]),
        ("B2 type", ["CsCl"]),
        ("sphalerite", ["ZnS"]),
        ("antifluorite", ["CaF2"]),
        ("A15", ["Cr3Si"]),
        ("laves", ["MgCu2"]),
        ("pyrite not:Fe", []),
        ("Cu3Au-type", ["Cu3Au"]),
        ("Cu2MnAl", ["MnCu2Al"]),  # formulas and elements stay what they were
        ("C2", []),
        ("P-N", []),
    ],
)
def test_kinds_of_structures(text: str, found: list[str]) -> None:
    hits = query.find(text, CRYSTALS, known=KNOWN)
    assert [name for name, hit in zip(CRYSTALS, hits, strict=True) if hit] == found


@each_row(
    ("text", "named", "suggested"),
    [
        ("perovskit", "(is it perovskite or", "perovskite"),
        ("has:Sr perovskyte", "(is it perovskite", "has:Sr perovskite"),
        ("heusslr", "(is it heusler", "heusler"),
        ("salt", "(is it rocksalt", "rocksalt"),
        ("flourite", "(is it fluorite", "fluorite"),
        ("nacl", "(is it NaCl or", "NaCl"),
        ("bynary", "(is it binary", "binary"),
        ("type:foo", "'foo' is no structure type", ""),
        ("type:", "'' is no structure type", ""),
        ("group:231", "'231' is no space group", ""),
        ("group:0", "'0' is no space group", ""),
        ("group:x", "'x' is no space group", ""),
        ("225", "'225' is no element", ""),
        ("qqqqqq", "'qqqqqq' is no element", ""),
    ],
)
def test_an_unknown_word_gets_what_is_nearest(text: str, named: str, suggested: str) -> None:
    with pytest.raises(ValueError, match="; ") as error:
        query.find(text, CRYSTALS, known=KNOWN)
    assert named in str(error.value)
    found = query.suggestions(text, KNOWN)
    assert found[:1] == ([suggested] if suggested else [])
    for line in found:  # each can be searched
        query.find(line, CRYSTALS, known=KNOWN)


@each_row(
    ("text", "known", "named"),
    [
        ("perovskite", Structures(), "'perovskite' is a structure type, and no structures are known"),
        ("rock salt", Structures(("perov5",)), "'rock salt' is a structure type, and no structures are known"),
        ("Fm-3m", Structures(("perov5",)), "'Fm-3m' is a space group, and none is known"),
        ("group:225", Structures(), "'225' is a space group, and none is known"),
    ],
)
def test_what_is_not_known_here_is_said(text: str, known: Structures, named: str) -> None:
    with pytest.raises(ValueError, match="; search by elements") as error:
        query.find(text, ["NaCl"], known=known)
    assert named in str(error.value)


def test_types_have_names_of_their_own_and_what_is_alike_is_said() -> None:
    names = [name for each in TYPES for name in each.names]
    assert len(set(names)) == len(names)
    for name in names:
        query.parse(f"type:{name}", KNOWN)
    by_place = [(each.space_group, each.ratio) for each in TYPES]
    assert all(each.alike for each in TYPES if by_place.count((each.space_group, each.ratio)) > 1)
    assert query.notes("Cu3Au type") == [
        "Cu3Au type: by space group and ratio of elements, so the ReO3 type is found, too"
    ]
