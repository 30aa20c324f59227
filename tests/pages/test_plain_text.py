"""Text from outside is shown letter by letter, and nothing in it makes the browser ask anybody for anything."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matgen_core import checkpoint
from matgen_core.materials import query
from pages._parts.shared import plain_text
from pages._parts.shared.plain_text import code, letters, plain
from tests.support.hostile import CARD_LINKS, TEXTS
from tests.support.page_checks import page, seen

OUTSIDE = "[...document.querySelectorAll('a[href]')].map(each => each.href).filter(each => !each.startsWith(origin))"


@given(st.text(max_size=40) | st.sampled_from(TEXTS))
def test_what_is_plain_reads_as_it_was_and_stands_in_one_line(text: str) -> None:
    shown = plain(text)
    assert seen(shown) == letters(text)
    assert shown.isprintable()
    assert seen(plain(plain(text))) == plain(text) or len(text) > 1_000


def test_what_the_browser_recognizes_after_escapes_is_parted() -> None:
    for text in (
        "www.evil.example",
        "Www.x",
        "http://x",
        "HTTPS://x",
        "a@b.cc",
        ":smile:",
        " -> ",
        "<->",
        " -- ",
        ">=",
        "~=",
    ):
        assert re.sub(r"\\(.)", r"\1", plain(text)) != letters(text), text
    assert ":small[]" not in plain("Li-Sn-S-Cl: 4.5 Å, n < 4, 'x' is no element; try Fe2O3 (or mp-149)")


def test_what_cannot_be_seen_is_written_out() -> None:
    assert letters(" a\tb\r\nc\u2028d ") == "a b c d"
    assert letters("\u202egnp\u200b\x00\ufeff") == r"\u202egnp\u200b\x00\ufeff"
    assert letters("x" * 2_345) == "x" * 2_000 + " … (345 more letters)"
    assert letters("Li₂S, Å, 中文, ½") == "Li₂S, Å, 中文, ½"


def test_code_is_a_span_whatever_it_holds() -> None:
    assert code("formula_lm_icsd") == "`formula_lm_icsd`"
    assert code("a`b") == "``a`b``"
    assert code("`") == "`` ` ``"
    assert code("``` x") == "```` ``` x ````"


def test_the_cards_of_this_project_stay_as_they_are_but_for_signs_that_could_be_misread() -> None:
    angles = {ord(sign): None for sign in "<>"}  # around addresses
    for name in checkpoint.names():
        card = (checkpoint.root() / name / "card.md").read_text()
        shown = plain_text.card(card)
        assert seen(shown).translate(angles) == card.translate(angles), name
        assert shown.count("](https://doi.org/") == card.count("](https://doi.org/")


def test_a_chart_makes_no_links() -> None:
    evil = '<a href="http://evil.example">x</a>'
    figure = go.Figure(
        go.Scatter(
            x=[1], y=[2], name=evil, text=[evil], customdata=[[evil]], hovertemplate="<b>%{y}</b><extra></extra>"
        ),
        {"title": {"text": f"a<br>{evil}"}},
    )
    drawn = str(plain_text.figure(figure))
    assert "<a" not in drawn
    assert "</a" not in drawn
    assert "<b>%{y}</b><extra></extra>" in drawn
    assert "a<br>&lt;a href" in drawn


def test_the_hint_of_the_search_line_keeps_its_asterisks() -> None:
    test = page("phase_fields").run()
    line = next(each for each in test.text_input if each.key == "filter")
    assert seen(line.help) == query.HELP
    assert r"Li\-\*\-S\-\*" in line.help


@pytest.mark.browser
def test_the_browser_shows_it_letter_by_letter(streamlit_app: Callable[[str], str], browser_page: Any) -> None:
    browser_page.goto(streamlit_app("tests/support/apps/plain_text_app.py"))
    browser_page.get_by_text("That is all.").wait_for()
    browser_page.get_by_text("graph TD").wait_for()  # drawn after the rest

    def found(kind: str) -> list[str]:
        return [" ".join(text.split()) for text in browser_page.locator(kind).all_text_contents()]

    expected = [" ".join(letters(text).split()) for text in TEXTS]
    assert found("[data-testid=stAlert]") == expected
    assert found("[data-testid=stButton] button") == expected
    bold = [text for text in found("[data-testid=stMarkdown]") if text.startswith("before ")]
    assert bold == [f"before {text} {text}" for text in expected]
    # Streamlit changes this one sign, before it looks for code.
    assert found("[data-testid=stCaptionContainer]") == [text.replace(":material/", ":material_") for text in expected]
    assert set(browser_page.evaluate(OUTSIDE)) == CARD_LINKS
    assert browser_page.locator(".st-key-card").locator("img, svg[id^=mermaid], style").count() == 0
    assert browser_page.locator(".st-key-card table").count() == 1


@pytest.mark.browser
def test_no_address_makes_the_browser_ask_outside(streamlit_app: Callable[[str], str], browser_page: Any) -> None:
    """The page of the fixture may reach nobody but this machine, and fails if it tries."""
    image, web = "![x](http://evil.example/p.png)", "www.evil.example <img src=http://evil.example/y.png>"
    addresses: dict[str, list[dict[str, str]]] = {
        "": [{"find": image}],
        "latent_map": [
            {"find": image, "at": web, "holds": "Li", "map": image},
            {"map": "formula_lm_icsd", "at": image, "camera": "formula_lm_icsd,umap,inf,0,1", "outlines": image},
            {"view": image},
        ],
        "structure_bench": [{"bench": f"{image},upload:{web}", "bench_view": web}],
        "journeys": [{"journey": "phase_field_vae", "via": f"{image},{web}", "mode": "", "n_path": "inf"}],
        "place": [{"place_model": image, "place_color": web}],
        "phase_fields": [{"field": image, "filter": web, "n_elements": "inf"}, {"must": image, "may": web}],
        "compositions": [{"has": image, "never": web, "n": "inf"}],
        "validate": [{"validation": image, "crystal": web, "validate_source": image, "n": "inf"}],
        "trust": [{"checkpoint": image}],
    }
    for name, asked in addresses.items():
        for address in asked:
            browser_page.goto(f"{streamlit_app('app.py')}/{name}?{urlencode(address)}")
            browser_page.get_by_role("heading", level=1).first.wait_for()
            browser_page.wait_for_function(
                "!document.querySelector('[data-testid=stSkeleton], [data-testid=stStatusWidgetRunningIcon]')"
            )
            assert browser_page.locator("[data-testid=stException]").count() == 0, (name, address)
            outside = [link for link in browser_page.evaluate(OUTSIDE) if not link.startswith("https://doi.org/10.")]
            assert not outside, (name, address, outside)
            assert browser_page.locator("img[src*=evil]").count() == 0
