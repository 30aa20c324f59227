"""The crystal viewer in a real browser, by its pixels; every request that leaves the machine is refused and counted."""

import io
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, expect
from scipy import ndimage
from streamlit.testing.v1 import AppTest

from matgen_core.views.crystals import scene as crystal_scene
from matgen_core.views.crystals import web_page
from matgen_core.views.crystals.scene import AtomReference
from tests.support.crystals import RUTILE
from tests.support.page_checks import seen
from tests.support.serving import CHROMIUM, NO_GL, QUIET, ROOT, SOFTWARE_GL, WATCH_CONTEXTS, served

APP = ROOT / "tests" / "support" / "apps" / "crystal_viewer_app.py"
WAIT = 120_000  # ms; software WebGL on busy cores

LIVE = "window.contexts.filter((context) => !context.isContextLost()).length"


def test_the_page_runs_without_a_browser() -> None:
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not app.exception
    assert json.loads(app.text[0].value.removeprefix("EVENTS "))["picks"] == []


def test_without_the_library_there_are_still_pictures_and_one_line(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(web_page, "VIEWER_LIBRARY", tmp_path)
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not app.exception
    assert [seen(message.value) for message in app.info] == [web_page.viewer_problem()]
    assert seen(app.info[0].value).endswith("run: make install")


browser_test = pytest.mark.browser
needs_browser = pytest.mark.usefixtures("viewer_library")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Iterator[str]:
    # Streamlit serves the folder `static` beside the script that it runs.
    folder = tmp_path_factory.mktemp("viewer")
    shutil.copy(APP, folder / "app.py")
    shutil.copytree(web_page.VIEWER_LIBRARY, folder / "static" / "vendor" / "3dmol")
    settings = {"OMP_NUM_THREADS": "1", "STREAMLIT_SERVER_ENABLE_STATIC_SERVING": "true"}
    with served(folder / "app.py", folder, **settings) as address:
        yield f"{address}/"


@pytest.fixture(scope="module")
def browser(playwright) -> Iterator[Browser]:
    opened = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *SOFTWARE_GL])
    yield opened
    opened.close()


class Visit:
    """One visitor's page, with what it asked for and complained about."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.refused: list[str] = []
        self.errors: list[str] = []
        context.set_default_timeout(WAIT)
        context.add_init_script(WATCH_CONTEXTS)

        def guard(route: Any) -> None:
            if route.request.url.startswith((base, "data:", "blob:", "file:")):
                route.continue_()
            else:
                self.refused.append(route.request.url)
                route.abort()

        context.route("**/*", guard)
        self.page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    @property
    def stage(self):
        return self.page.locator(".crystal-viewer .stage")

    def open(self, base: str) -> None:
        self.page.goto(base)
        self.page.locator(".crystal-viewer .gl canvas").wait_for()
        self.wait_for(lambda: self.colored("O") > 200, "oxygen on the canvas")

    def pixels(self) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.stage.screenshot())).convert("RGB")).astype(int)

    def mask(self, element: str) -> np.ndarray:
        picture = self.pixels().copy()
        picture[-120:, :130] = 0  # the axes have colors of their own
        red, green, blue = np.moveaxis(picture, -1, 0)
        return {
            "O": (red > 170) & (green < 90) & (blue < 90),
            "Ti": (abs(red - green) < 12) & (abs(green - blue) < 14) & (red > 150) & (red < 215),
            "Sr": (green > 150) & (red < 90) & (blue < 90),
            "Na": (blue > 170) & (red > 110) & (green < 120),
        }[element]

    def colored(self, element: str) -> int:
        return int(self.mask(element).sum())

    def middle_of(self, element: str) -> tuple[float, float]:
        """The middle of the largest patch in an element's color, in pixels of the stage."""
        patches, count = ndimage.label(self.mask(element))
        sizes = ndimage.sum_labels(np.ones_like(patches), patches, range(1, count + 1))
        y, x = ndimage.center_of_mass(patches == int(np.argmax(sizes)) + 1)
        return x, y

    def axes(self) -> np.ndarray:
        """Where the blue c and the green b of the axes point: the orientation, whatever the structure is."""
        red, green, blue = np.moveaxis(self.pixels()[-120:, :130], -1, 0)
        c = (blue > 160) & (red < 70) & (green < 120)
        b = (green > 100) & (green < 150) & (red < 80) & (blue < 80)
        return np.array([ndimage.center_of_mass(c), ndimage.center_of_mass(b)])

    def events(self) -> dict[str, Any]:
        text = self.page.get_by_text(re.compile("^EVENTS")).inner_text()
        return json.loads(text.removeprefix("EVENTS "))

    def wait_for(self, condition, what: str) -> None:
        deadline = time.monotonic() + WAIT / 1000
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}; errors: {self.errors}"
            self.page.wait_for_timeout(200)

    def choose(self, *names: str) -> None:
        box = self.page.get_by_role("combobox", name="Structures")
        for name in names:
            box.fill(name)
            box.press("Enter")
        box.press("Escape")


@pytest.fixture
def visit(browser: Browser, base: str) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 900, "height": 760}, color_scheme="light")
    one = Visit(context, base)
    yield one
    context.close()
    assert one.refused == []
    assert one.errors == []


@browser_test
@needs_browser
def test_elements_styles_and_toggles_show_in_the_pixels(visit: Visit, base: str) -> None:
    visit.open(base)
    as_balls = visit.colored("O")
    assert visit.colored("Ti") > 500
    visit.page.get_by_role("button", name="Space filling").click()
    visit.wait_for(lambda: visit.colored("Ti") > 6_000, "large balls")
    visit.page.get_by_role("button", name="Ball and stick").click()
    visit.page.locator('.legend [data-element="O"]').click()
    visit.wait_for(lambda: visit.colored("O") == 0, "oxygen to vanish")
    visit.page.locator('.legend [data-element="O"]').click()
    visit.wait_for(lambda: abs(visit.colored("O") - as_balls) < 0.1 * as_balls, "oxygen to come back")
    without_images = visit.colored("Ti")
    visit.stage.press("i")
    visit.wait_for(lambda: visit.colored("Ti") < 0.5 * without_images, "the corners to lose their repeats")
    assert "a cell with 2 Ti, 4 O" in visit.stage.get_attribute("aria-label")


@browser_test
@needs_browser
def test_picks_reach_python_and_the_measure_is_pymatgens(visit: Visit, base: str) -> None:
    visit.open(base)
    for element in ("Ti", "O"):
        x, y = visit.middle_of(element)
        visit.stage.click(position={"x": x, "y": y})
    visit.wait_for(lambda: len(visit.events()["picks"]) == 2, "two picks in Python")
    picks = [AtomReference(pick["site"], tuple(pick["image"])) for pick in visit.events()["picks"]]
    assert [RUTILE[pick.site].specie.symbol for pick in picks] == ["Ti", "O"]
    shown = visit.page.locator(".readout").inner_text()
    assert float(re.search(r"([\d.]+) Å", shown).group(1)) == pytest.approx(
        crystal_scene.measure(RUTILE, picks).value, abs=6e-4
    )
    visit.stage.press("Escape")
    visit.wait_for(lambda: visit.events()["picks"] == [], "the picks to be cleared")


@browser_test
@needs_browser
def test_the_camera_outlives_structures_and_pages_and_contexts_do_not(visit: Visit, base: str) -> None:
    visit.open(base)
    start = visit.axes()
    box = visit.stage.bounding_box()
    visit.page.mouse.move(box["x"] + 300, box["y"] + 60)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 420, box["y"] + 120, steps=5)
    visit.page.mouse.up()
    visit.wait_for(lambda: visit.events()["view"] is not None, "the view in Python")
    visit.page.mouse.move(5, 5)
    turned = visit.axes()
    assert np.abs(turned - start).max() > 5
    visit.page.get_by_label("Cells along a").fill("2")
    visit.page.get_by_label("Cells along a").press("Enter")
    visit.wait_for(lambda: "2 x 1 x 1 cells drawn" in visit.stage.get_attribute("aria-label"), "two cells")
    visit.page.mouse.move(5, 5)
    visit.page.wait_for_timeout(1000)
    assert np.abs(visit.axes() - turned).max() < 1
    visit.choose("perovskite", "rock salt", "heusler")
    visit.wait_for(lambda: visit.page.locator(".legend button").count() == 8, "four structures")
    visit.wait_for(lambda: min(visit.colored("Sr"), visit.colored("Na"), visit.colored("O")) > 100, "all panels")
    assert visit.page.evaluate(LIVE) == 1
    visit.page.get_by_role("link", name="elsewhere").click()
    expect(visit.page.get_by_text("ELSEWHERE", exact=True)).to_be_visible()
    visit.wait_for(lambda: visit.page.evaluate(LIVE) == 0, "the context to be released")
    visit.page.get_by_role("link", name="bench").click()
    visit.page.locator(".crystal-viewer .gl canvas").wait_for()
    visit.wait_for(lambda: visit.colored("O") > 200, "the viewer to come back")
    assert np.abs(visit.axes() - turned).max() < 1
    assert visit.page.evaluate(LIVE) == 1


@browser_test
@needs_browser
def test_dark_theme_and_png(browser: Browser, base: str) -> None:
    context = browser.new_context(viewport={"width": 900, "height": 760}, color_scheme="dark", accept_downloads=True)
    visit = Visit(context, base)
    visit.open(base)
    assert visit.pixels()[5, -5].max() < 60
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Save as PNG").click()
    picture = np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)
    assert download.value.suggested_filename == "TiO2.png"
    assert picture.shape[1] >= 2 * visit.stage.bounding_box()["width"] - 2
    assert ((picture[..., 0] > 170) & (picture[..., 1] < 90)).sum() > 800  # oxygen
    assert (
        (picture[-220:, :240, 2] > 200) & (picture[-220:, :240, 0] < 140)
    ).sum() > 50  # the blue axis c, from the overlay
    assert visit.refused == []
    context.close()


@browser_test
@needs_browser
def test_without_webgl_a_still_picture_is_shown(playwright, base: str) -> None:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *NO_GL])
    visit = Visit(browser.new_context(), base)
    visit.page.goto(base)
    # For a moment the component says it too, until the page has run again without it.
    expect(visit.page.get_by_test_id("stAlert").get_by_text("offers no WebGL")).to_be_visible(timeout=WAIT)
    expect(visit.page.get_by_role("img", name=re.compile("Crystal structure TiO2"))).to_be_visible(timeout=WAIT)
    assert visit.refused == []
    browser.close()


@browser_test
@needs_browser
def test_the_stand_alone_page_draws_with_no_network_at_all(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "rutile.html"
    file.write_text(web_page.html_page(RUTILE))
    visit = Visit(browser.new_context(viewport={"width": 700, "height": 500}, offline=True), "file:")
    visit.page.goto(file.as_uri())
    visit.page.locator("canvas").wait_for()
    visit.page.wait_for_timeout(500)
    red, green, _ = np.moveaxis(np.asarray(Image.open(io.BytesIO(visit.page.screenshot())).convert("RGB")), -1, 0)
    assert ((red > 170) & (green < 90)).sum() > 500
    assert (visit.refused, visit.errors) == ([], [])
    visit.page.context.close()
