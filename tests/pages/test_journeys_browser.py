"""A walk from a perovskite to a Heusler in a real browser: it fills, is judged, and a step is chosen everywhere."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from matgen_core import checkpoint
from matgen_core.latent.map import LatentMap
from matgen_core.materials.formulas import subscripted
from matgen_core.tasks import journeys

pytestmark = pytest.mark.browser


def settle(page: Any) -> None:
    """Wait until the journey is whole and the map is drawn."""
    page.get_by_role("heading", name="Journeys", level=1).wait_for()
    page.get_by_text("The same in Python").wait_for()
    page.locator(".lm[data-state=ready]").wait_for()
    page.locator(".fs-light").first.wait_for()
    expect(page.locator(".fs-coming")).to_have_count(0)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


@pytest.mark.usefixtures("viewer_library")
def test_from_a_perovskite_to_a_heusler(
    browser_page: Any, streamlit_app: Callable[[str], str], shoot: Callable[[Any, str], None]
) -> None:
    page, space = browser_page, LatentMap(checkpoint.load("icsg3d"))
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{streamlit_app('app.py')}/journeys?journey=icsg3d")
    page.get_by_text("Choose 2 places").wait_for()
    page.locator(".lm[data-state=ready]").wait_for()
    shoot(page, "journeys_empty")
    expect.set_options(timeout=30_000)

    first, last = journeys.example(space)
    started = time.monotonic()
    page.get_by_role("button", name="Try ").click()
    page.locator(".fs-light").first.wait_for()
    print(f"first frame after {time.monotonic() - started:.2f} s")
    expect(page.locator(".fs-title")).to_have_count(12)
    expect(page.locator(".fs-coming")).to_have_count(0)
    print(f"12 steps after {time.monotonic() - started:.2f} s")
    settle(page)
    assert f"via={first}%2C{last}" in page.url

    route = journeys.path(space, [journeys.waypoint(space, key) for key in (first, last)], 12)
    formulas = [step.formula for step in journeys.walk(space, route)]
    shown = page.locator(".fs-title").all_inner_texts()
    assert [re.sub(r"\s", "", text) for text in shown] == formulas
    assert page.locator(".fs-frame img").count() == 12
    assert page.get_by_role("option").nth(0).get_attribute("aria-selected") == "true"

    page.get_by_role("option").nth(5).click()
    page.get_by_role("heading", name=f"6 · {subscripted(formulas[5])}").wait_for()
    page.get_by_role("option").nth(5).press("ArrowRight")
    page.get_by_role("heading", name=f"7 · {subscripted(formulas[6])}").wait_for()
    assert "step=7" in page.url
    page.locator(".crystal-viewer canvas").first.wait_for()
    page.locator(".js-plotly-plot .point").first.wait_for()
    shoot(page, "journeys")
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("element => element.scrollWidth <= element.clientWidth")
    main.evaluate("element => element.scrollTo(0, 560)")
    shoot(page, "journeys_below")
    main.evaluate("element => element.scrollTo(0, element.scrollHeight)")
    shoot(page, "journeys_end")

    with page.expect_download() as download:
        page.get_by_role("button", name="Save 12 CIF").click()
    assert download.value.suggested_filename == "journey.zip"
    page.reload()
    settle(page)
    page.get_by_role("heading", name=f"7 · {subscripted(formulas[6])}").wait_for()
