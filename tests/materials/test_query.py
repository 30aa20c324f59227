"""The search line: what each term means, and what is said of a line that cannot be understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matgen_core.materials import query
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
        ("mp-99999999", "'mp-99999999' looks like the name of a material, and none here is called so"),
        ("made-1 has:Li", "'made-1' looks like the name of a material"),
        ("(Na" * 50_000, "a search line of 150,000 letters; at most 1,000 are read"),
    ],
)
def test_a_line_that_cannot_be_understood_is_named(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=r".+; .+|.+ or .+|try ") as error:
        query.parse(text)
    assert named in str(error.value)
    assert "\n" not in str(error.value)
