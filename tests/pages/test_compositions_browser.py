"""Formulas generated in a real browser: asked for, drawn, looked into, kept, and saved."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import expect
from pymatgen.core import Composition

from matgen_core.materials.formulas import subscripted
from matgen_core.tasks.funnel import session

pytestmark = pytest.mark.browser


def test_oxides_are_generated_looked_into_and_saved(
    browser_page: Any, streamlit_app: Callable[[str], str], shoot: Callable[[Any, str], None]
) -> None:
    page = browser_page
    page.goto(f"{streamlit_app('app.py')}/compositions?generator=ding&n=20000&has=O&elements_to=3")
    page.get_by_role("heading", name="Compositions", level=1).wait_for()
    page.get_by_text("Nothing is generated yet").wait_for()
    page.get_by_role("gridcell", name="Fluorine, may").press("n")
    page.get_by_text("1 must, 84 may, 1 never occur").wait_for()
    assert "never=F" in page.url
    page.get_by_role("button", name="Generate").click()
    page.get_by_role("button", name="Save all").wait_for(timeout=60_000)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.get_by_text("20,000 samples of ding, seed 0")).to_be_visible()
    page.locator(".js-plotly-plot .point").first.wait_for()
    assert "charge-neutral" in page.locator(".js-plotly-plot").first.inner_text()

    with page.expect_download() as download:
        page.get_by_role("button", name="Save all").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert json.loads(archive.read("formulas/origin.json"))["made_by"].startswith("ding")
        names = [name for name in archive.namelist() if name.endswith(".parquet")]
        parts = [pd.read_parquet(io.BytesIO(archive.read(name))) for name in names]
    kept = pd.concat(parts, ignore_index=True)
    made = [Composition(text) for text in kept["formula"]]
    assert all("O" in each and "F" not in each and len(each) <= 3 for each in made)
    expect(page.get_by_text(f"Kept ({len(kept):,})")).to_be_visible()

    page.locator(".js-plotly-plot .annotation").first.wait_for()
    # A click on the second row opens its reasons; a tick puts the third on the list.
    table = page.locator("[data-testid=stDataFrame]").first
    main = page.locator("[data-testid=stMain]")
    page.wait_for_timeout(1_000)  # charts take their heights, and the table its place
    table.scroll_into_view_if_needed()
    click_cell(page, table, 80, 1)
    in_order, _ = session.radioactive_last(kept)  # as the page lists them
    second = in_order["formula"].iloc[1]
    page.get_by_role("heading", name=subscripted(second), level=3, exact=True).wait_for()
    click_cell(page, table, 17, 2)
    page.get_by_role("button", name="Put 1 ticked on the shortlist").click()
    page.get_by_text("Shortlist of this session: 1").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    listed = pd.read_csv(download.value.path())
    assert listed[["formula", "model", "seed"]].to_numpy().tolist() == [[in_order["formula"].iloc[2], "ding", 0]]

    assert main.evaluate("element => element.scrollWidth <= element.clientWidth")
    main.evaluate("element => element.scrollTo(0, 560)")
    shoot(page, "compositions")


def test_an_old_link_opens_the_language_model_and_the_gan_has_its_name_now(
    browser_page: Any, streamlit_app: Callable[[str], str]
) -> None:
    page = browser_page
    page.goto(f"{streamlit_app('app.py')}/compositions?generator=matgan_icsd&n=1000&has=O")
    line = page.get_by_text("This link is from when the language model formula_lm_icsd was called matgan_icsd")
    line.wait_for()
    generator = page.get_by_role("combobox", name="Generator")
    expect(generator).to_have_value("formula_lm_icsd")
    assert "generator=formula_lm_icsd" in page.url
    generator.click()
    page.get_by_role("option", name="matgan_icsd", exact=True).click()
    page.wait_for_url("**/*names=2*")
    expect(line).to_have_count(0)
    page.reload()
    page.get_by_text("Nothing is generated yet").wait_for()
    expect(generator).to_have_value("matgan_icsd")
    expect(line).to_have_count(0)
    page.get_by_role("button", name="Generate").click()
    page.get_by_text("1,000 samples of matgan_icsd, seed 0").wait_for(timeout=60_000)


def click_cell(page: Any, table: Any, x: int, row: int) -> None:
    """Click into a row, from 0; the table first has to see where the mouse is."""
    place = {"x": x, "y": 35 * (row + 1) + 17}
    table.hover(position=place)
    page.wait_for_timeout(500)
    table.click(position=place)
