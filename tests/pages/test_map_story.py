"""The latent map in a real browser: from a cold start to a selection, its files, an own map, and a link to it."""

import io
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from matgen_core import checkpoint
from tests.support.browsing import settle, settle_map

pytestmark = pytest.mark.browser

Shoot = Callable[[Any, str], None]
MODEL = "icsg3d"


def draw(page: Any, corners: list[tuple[float, float]]) -> None:
    """Draw a lasso on the map, in shares of its size."""
    page.locator("[data-tool=lasso]").click()
    plot = page.locator(".lm").bounding_box()
    points = [(plot["x"] + x * plot["width"], plot["y"] + y * plot["height"]) for x, y in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def find_point(page: Any, height: float) -> None:
    """Move the pointer along lines of the map, from a share of its height down, until it rests on a point."""
    plot = page.locator(".lm").bounding_box()
    for line in range(5):
        for x in range(10, 95):
            y = height + 0.02 * line
            page.mouse.move(plot["x"] + x / 100 * plot["width"], plot["y"] + y * plot["height"])
            page.wait_for_timeout(30)
            if page.locator(".lm-stage.lm-over").count():
                return
    pytest.fail(f"no point from {height:.0%} to {height + 0.08:.0%} of the height of the map")


def selected(page: Any) -> str:
    """How many crystals the lasso has chosen."""
    page.get_by_role("heading", name="Selected by lasso").wait_for()
    return str(re.findall(r"Selected by lasso: ([\d,]+)", str(page.locator("h3").all_inner_texts()))[0])


def measured(what: str, since: float) -> None:
    print(f"{what}: {time.perf_counter() - since:.2f} s")


@pytest.mark.usefixtures("viewer_library")
def test_from_a_lasso_to_files_a_map_and_a_link(
    browser_page: Any, streamlit_app: Callable[[str], str], shoot: Shoot, tmp_path: Path
) -> None:
    page = browser_page
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.goto(f"{streamlit_app('app.py')}/latent_map?map={MODEL}&color=Cluster+in+latent+space")
    settle(page, "Latent map")
    settle_map(page)
    n = len(checkpoint.load(MODEL).index)  # type: ignore[arg-type]
    page.get_by_text(f"Showing {n:,} of {n:,} known crystals").wait_for()
    page.locator(".lm-legend").get_by_text("in no cluster").wait_for()

    # Elements that must and may not be there
    page.get_by_role("button", name="Elements").click()
    oxygen = page.get_by_role("gridcell", name="Oxygen, may")
    oxygen.focus()
    shoot(page, "map_elements")
    page.keyboard.press("n")
    page.get_by_role("gridcell", name="Oxygen, never").wait_for()
    page.get_by_text(re.compile("never: O ·")).wait_for()
    page.get_by_role("heading", name="Found").wait_for()
    assert "never=O" in page.url
    page.get_by_role("button", name="All may").click()
    page.get_by_text(f"Showing {n:,} of {n:,} known crystals").wait_for()
    page.keyboard.press("Escape")

    # A lasso, its table, what sets it apart
    page.wait_for_timeout(600)
    draw(page, [(0.03, 0.9), (0.03, 0.5), (0.97, 0.5), (0.97, 0.9), (0.1, 0.9)])
    start = time.perf_counter()
    lower = selected(page)
    measured("lasso to table", start)
    assert 0 < int(lower.replace(",", "")) < n
    page.get_by_text("of the 15 true neighbors of the points in your outlines lie outside").wait_for()
    page.get_by_text("Compared with the rest").click()
    page.locator(".js-plotly-plot").nth(5).wait_for()
    page.get_by_text(re.compile("Cliff's δ")).first.wait_for()
    page.set_viewport_size({"width": 1280, "height": 1700})
    shoot(page, "map_compared")
    page.get_by_text("Table", exact=True).click()

    # Its crystals as files
    decode = page.get_by_role("button", name="Decode to CIF files")
    decode.wait_for()
    if decode.is_enabled():
        decode.click()
        start = time.perf_counter()
        save = page.get_by_role("button", name=f"Save {lower} crystals (zip)")
        save.wait_for(timeout=180_000)
        measured(f"{lower} crystals decoded", start)
        with page.expect_download() as download:
            save.click()
        with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
            listed = pd.read_csv(archive.open("table.csv"), keep_default_na=False)
            n_files = sum(name.endswith(".cif") for name in archive.namelist())
        assert len(listed) == int(lower.replace(",", ""))
        assert n_files == (listed["problem"] == "").sum() > 0

    # A crystal's card
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.get_by_role("textbox", name="Find a formula or search").fill(str(listed_id(n)))
    start = time.perf_counter()
    page.keyboard.press("Enter")
    page.get_by_text("Nearest known crystals by distance").wait_for()
    measured("search to card", start)
    page.locator("canvas").nth(2).wait_for()
    page.get_by_role("textbox", name="Find a formula or search").fill("")
    page.keyboard.press("Enter")
    page.get_by_text(f"Showing {lower} of {n:,} known crystals").wait_for()
    page.wait_for_timeout(1_000)
    before = page.get_by_role("heading", level=3).first.inner_text()
    page.locator("[data-tool=fit]").click()  # the search has flown to its hit
    page.locator("[data-tool=pan]").click()
    for formula in range(2):  # the second time, what a first decoding loads is there
        find_point(page, 0.52 + 0.1 * formula)
        start = time.perf_counter()
        page.mouse.down()
        page.mouse.up()
        page.wait_for_function("before => document.querySelector('h3').innerText != before", arg=before)
        measured("click to card", start)
        before = page.get_by_role("heading", level=3).first.inner_text()
        page.wait_for_timeout(1_000)
    shoot(page, "map_crystal")

    # A map of the selection
    page.get_by_role("button", name="New map").click()
    page.locator("[data-testid=stButtonGroup]").get_by_text("PCA", exact=True).click()
    page.wait_for_timeout(500)
    shoot(page, "map_new")
    page.get_by_role("button", name="Make the map").click()
    page.wait_for_function("document.querySelector('[data-testid=stSelectbox] input[value^=PCA]')", timeout=90_000)
    page.get_by_role("button", name="How made").first.click()
    page.get_by_text(f"seed 0, of {lower} points; the others are gray").wait_for()
    page.keyboard.press("Escape")
    settle_map(page)
    shoot(page, "map_own")

    # The link, in another session
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Link copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert len(link) < 1_000
    page.goto(link)
    settle(page, "Latent map")
    settle_map(page)
    assert selected(page) == lower
    page.get_by_text("Nearest known crystals by distance").wait_for()
    assert "view=" not in page.url
    page.reload()
    settle(page, "Latent map")
    assert selected(page) == lower
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("element => element.scrollWidth <= element.clientWidth")

    page.goto(f"{streamlit_app('app.py')}/latent_map?view=rubbish")
    settle(page, "Latent map")
    page.get_by_text("this link to a view cannot be read").wait_for()


def test_a_map_asks_again_for_what_another_run_has_taken_away(
    browser_page: Any, streamlit_app: Callable[[str], str]
) -> None:
    asked: dict[str, int] = {}

    def late(route: Any) -> None:
        url = route.request.url
        asked[url] = asked.get(url, 0) + 1
        route.fulfill(status=404) if asked[url] < 3 else route.fallback()

    browser_page.context.route("**/media/*.bin", late)
    browser_page.goto(f"{streamlit_app('app.py')}/latent_map?map={MODEL}")
    settle_map(browser_page)
    assert asked
    assert set(asked.values()) == {3}


def listed_id(n: int) -> str:
    """The id of a crystal in the middle of the index."""
    index = checkpoint.load(MODEL).index
    assert index is not None
    return str(index["id"].iloc[n // 2])
