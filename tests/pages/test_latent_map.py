"""The map in a real browser, by its pixels; every request that leaves the machine is refused and counted."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Playwright
from streamlit.testing.v1 import AppTest

from matgen_core.views import palettes
from tests.support.serving import CHROMIUM, NO_GL, QUIET, ROOT, SOFTWARE_GL, WATCH_CONTEXTS, served

APP = ROOT / "tests" / "support" / "apps" / "latent_map_app.py"
COLORS = palettes.categories(7, "light")


def test_the_page_runs_without_a_browser():
    app = AppTest.from_file(APP, default_timeout=30).run()
    assert not app.exception
    assert any(text.value == "selected=0" for text in app.text)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served(APP, OMP_NUM_THREADS="1") as address:
        yield f"{address}/"


def launch(playwright: Playwright, flags: list[str]) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *flags])


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    opened = launch(playwright, SOFTWARE_GL)
    yield opened
    opened.close()


class Visit:
    """One visitor's page, with what it asked for, sent and complained about."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base = base
        self.refused: list[str] = []
        self.errors: list[str] = []
        self.sent: list[int] = []

        def guard(route):
            if route.request.url.startswith((base, "data:", "blob:")):
                route.continue_()
            else:
                self.refused.append(route.request.url)
                route.abort()

        context.route("**/*", guard)
        context.add_init_script(WATCH_CONTEXTS)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(40_000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("websocket", lambda s: s.on("framesent", lambda frame: self.sent.append(len(frame))))

    def open(self, query: str = "n=100000") -> "Visit":
        self.page.goto(f"{self.base}?{query}")
        return self.ready()

    def ready(self) -> "Visit":
        self.settle()
        return self

    def settle(self) -> None:
        """Until what was asked for is here and all of it is drawn."""
        self.page.wait_for_timeout(400)
        self.page.locator(".lm[data-state=ready]").wait_for()
        self.page.wait_for_timeout(400)

    def text(self, name: str, pattern: str) -> str:
        """What the server says: wait for `name=` followed by the pattern, and return the match."""
        found = self.page.get_by_text(re.compile(rf"{name}={pattern}")).first
        found.wait_for()
        match = re.search(rf"{name}=({pattern})", found.text_content() or "")
        return match.group(1) if match else ""

    def picture(self) -> np.ndarray:
        """The map as it looks, without what Streamlit shows round it, (height, width, 3)."""
        image = Image.open(io.BytesIO(self.page.locator(".lm").screenshot()))
        return np.asarray(image.convert("RGB")).astype(int)

    def look_at_the_square(self) -> None:
        self.page.get_by_role("button", name="Look at the square").click()
        self.text("look", "Camera")
        self.settle()

    def corner(self) -> tuple[float, float]:
        box = self.page.locator(".lm").bounding_box()
        assert box is not None
        return box["x"], box["y"]

    def drag(self, points: list[tuple[float, float]], *keys: str) -> None:
        """Draw a line on the map, in its own CSS pixels."""
        x, y = self.corner()
        for key in keys:
            self.page.keyboard.down(key)
        self.page.mouse.move(x + points[0][0], y + points[0][1])
        self.page.mouse.down()
        for px, py in points[1:]:
            self.page.mouse.move(x + px, y + py, steps=25)
        self.page.mouse.up()
        for key in keys:
            self.page.keyboard.up(key)

    def tool(self, name: str) -> None:
        self.page.locator(f"[data-tool={name}]").click()


@pytest.fixture
def visit(browser: Browser, server: str) -> Iterator[Visit]:
    with browser.new_context(viewport={"width": 1366, "height": 1000}, color_scheme="light") as context:
        made = Visit(context, server)
        yield made
        assert made.refused == []
        assert made.errors == []


def is_color(picture: np.ndarray, color: np.ndarray, tolerance: int = 12) -> np.ndarray:
    return (np.abs(picture - color) <= tolerance).all(axis=-1)


def square_box(picture: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the cluster that lies apart, by its pixels."""
    blue = is_color(picture, COLORS[0], 60)
    height, width = blue.shape
    blue[: height * 7 // 10] = blue[:, : width * 6 // 10] = False  # the legend's dot, other blobs of that class
    ys, xs = np.nonzero(blue)
    return xs.min(), ys.min(), xs.max(), ys.max()


def round_square(picture: np.ndarray, margin: int = 12) -> list[tuple[float, float]]:
    left, top, right, bottom = square_box(picture)
    left, top, right, bottom = left - margin, top - margin, right + margin, bottom + margin
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top + 3)]
    return [(float(x), float(y)) for x, y in corners]


@pytest.mark.browser
def test_points_are_drawn_in_the_legend_s_colors(visit: Visit):
    picture = visit.open().picture()
    plot = picture[60:, :700]
    for color in COLORS:
        assert is_color(plot, color, 25).sum() > 300
    background = is_color(plot, np.array([255, 255, 255]), 1).mean()
    assert 0.2 < background < 0.95


@pytest.mark.browser
@pytest.mark.parametrize("n", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_lasso_counts_exactly_and_sends_little(visit: Visit, n: int):
    visit.open(f"n={n}")
    outline = round_square(visit.picture())
    visit.tool("lasso")
    visit.sent.clear()
    visit.drag(outline)
    assert int(visit.text("selected", r"[1-9]\d*")) == n // 10
    visit.settle()
    assert visit.text("right", rf"{n // 10} truth={n // 10}")
    assert len(visit.sent) == 1
    assert sum(visit.sent) <= 1024
    picture = visit.picture()
    assert is_color(picture[60:, :600], COLORS[2], 20).sum() == 0  # the rest is gray now
    gray = np.ptp(picture[60:, :600], axis=-1) < 6
    assert (gray & (picture[60:, :600].sum(axis=-1) < 750)).sum() > 20_000  # and still there


@pytest.mark.browser
def test_outlines_add_subtract_intersect_and_clear(visit: Visit):
    visit.open()
    left, top, right, bottom = (float(v) for v in square_box(visit.picture()))
    middle = (left + right) / 2
    visit.tool("box")
    visit.drag([(left - 9, top - 9), (middle, bottom + 9)])
    half = int(visit.text("selected", r"[1-9]\d*"))
    assert 4500 < half < 5500
    visit.settle()
    visit.drag([(middle, top - 9), (right + 9, bottom + 9)], "Shift")
    visit.text("selected", "10000")
    visit.settle()
    visit.drag([(left - 9, top - 9), (middle, bottom + 9)], "Alt")
    visit.text("selected", str(10000 - half))
    visit.settle()
    visit.tool("add")  # the button does what the key does
    visit.drag([(left - 9, top - 9), (middle, bottom + 9)])
    visit.text("selected", "10000")
    visit.settle()
    visit.drag([(left - 9, top - 9), (middle, bottom + 9)], "Shift", "Alt")
    visit.text("selected", str(half))
    visit.settle()
    visit.page.locator(".lm-stage").focus()
    visit.page.keyboard.press("Escape")
    visit.text("selected", "0")


@pytest.mark.browser
def test_a_long_scribble_stays_under_a_kilobyte(visit: Visit):
    visit.open()
    visit.tool("lasso")
    turns = np.linspace(0, 2 * np.pi, 150)
    ring = [
        (420 + (200 + 25 * np.sin(23 * t)) * np.cos(t), 330 + (200 + 25 * np.sin(23 * t)) * np.sin(t)) for t in turns
    ]
    x, y = visit.corner()
    visit.page.mouse.move(x + ring[0][0], y + ring[0][1])
    visit.page.mouse.down()
    for px, py in ring:
        visit.page.mouse.move(x + px, y + py)
    visit.sent.clear()
    visit.page.mouse.up()
    visit.text("selected", r"[1-9]\d*")
    visit.settle()
    assert 30 < int(visit.text("vertices", r"\d+")) <= 80
    assert sum(visit.sent) <= 1024


@pytest.mark.browser
def test_recoloring_keeps_view_and_selection(visit: Visit):
    visit.open()
    visit.look_at_the_square()
    visit.tool("box")
    visit.drag([(250, 150), (700, 450)])
    selected = visit.text("selected", r"[1-9]\d*")
    visit.settle()
    before = visit.picture()
    fetched: list[int] = []
    visit.page.on("response", lambda r: fetched.append(len(r.body())) if "/media/" in r.url else None)
    visit.page.get_by_role("combobox").click()
    visit.page.get_by_role("option", name="Band gap").click()
    visit.page.get_by_text("Band gap (eV)").wait_for()
    visit.settle()
    after = visit.picture()
    assert visit.text("selected", r"\d+") == selected
    plot = slice(60, 560), slice(40, 650)
    drawn_before, drawn_after = (picture[plot].sum(axis=-1) < 750 for picture in (before, after))
    assert drawn_before.mean() > 0.3
    assert (drawn_before == drawn_after).mean() > 0.99  # the same points in the same places
    assert (np.abs(before[plot] - after[plot]).max(axis=-1) > 40).mean() > 0.1  # in other colors
    assert fetched == [100_000]  # one byte a point


@pytest.mark.browser
def test_hover_and_click_name_the_point(visit: Visit):
    visit.open("n=2000")
    left, top, right, bottom = square_box(visit.picture())
    x, y = visit.corner()
    place = x + (left + right) / 2, y + (top + bottom) / 2
    visit.page.mouse.move(*place)
    row = visit.page.locator(".lm-tooltip dd").first
    row.wait_for()
    assert int(row.text_content() or "") % 10 == 0  # every tenth point lies in the square
    assert "cubic" in (visit.page.locator(".lm-tooltip").text_content() or "")
    formula = visit.page.locator(".lm-tooltip-head")
    assert re.fullmatch(r"Li\dSn\dO\d+", formula.text_content() or "")
    assert formula.locator("sub").count() == 3
    visit.page.mouse.click(*place)
    assert visit.text("clicked", r"\d+") == row.text_content()


@pytest.mark.browser
def test_keys_move_zoom_and_pick(visit: Visit):
    visit.open("n=2000")
    stage = visit.page.locator(".lm-stage")
    stage.focus()
    assert "2,000 materials" in (stage.get_attribute("aria-label") or "")

    said = "None"

    def camera_after(*keys: str) -> tuple[float, float, float]:
        nonlocal said
        for key in keys:
            visit.page.keyboard.press(key)
        said = visit.text("camera", rf"(?!{re.escape(said)})Camera\(.*\)")
        x, y, span = (float(number) for number in re.findall(r"=(-?[\d.]+)", said))
        return x, y, span

    x, y, span = camera_after("+")
    assert camera_after("+")[2] == pytest.approx(span / 1.4)
    moved = camera_after("-", "ArrowRight", "ArrowUp")
    assert moved[0] > x
    assert moved[1] > y
    assert moved[2] == pytest.approx(span)
    assert camera_after("0")[2] == pytest.approx(span * 1.4)
    visit.page.keyboard.press("l")
    assert stage.get_attribute("data-tool") == "lasso"
    visit.page.keyboard.press("b")
    assert stage.get_attribute("data-tool") == "box"
    visit.page.keyboard.press("Escape")
    assert stage.get_attribute("data-tool") == "pan"


@pytest.mark.browser
def test_enter_opens_the_point_at_the_cross(visit: Visit):
    visit.open("n=2000")
    visit.look_at_the_square()
    visit.page.locator(".lm-stage").focus()
    visit.page.keyboard.press("Enter")
    assert int(visit.text("clicked", r"\d+")) % 10 == 0


@pytest.mark.browser
def test_contexts_go_with_the_page_and_the_view_comes_back(visit: Visit):
    visit.open("n=2000")
    visit.look_at_the_square()
    before = visit.picture()[60:560, 40:650]
    for _ in range(3):
        visit.page.get_by_role("link", name="Other").click()
        visit.page.get_by_text("another page").wait_for()
        visit.page.wait_for_function("window.contexts.every((context) => context.isContextLost())")
        visit.page.get_by_role("link", name="Map").click()
        visit.ready()
        alive = visit.page.evaluate("window.contexts.filter((context) => !context.isContextLost()).length")
        assert alive == 1
    assert visit.page.evaluate("window.contexts.length") == 4
    assert (np.abs(visit.picture()[60:560, 40:650] - before).max(axis=-1) > 40).mean() < 0.005


@pytest.mark.browser
def test_a_class_can_be_grayed_and_brought_back(visit: Visit):
    visit.open("n=20000")
    green = visit.page.get_by_role("button", name="orthorhombic")
    assert is_color(visit.picture()[60:, :600], COLORS[2], 30).sum() > 100
    green.click()
    visit.settle()
    assert green.get_attribute("aria-pressed") == "false"
    assert is_color(visit.picture()[60:, :600], COLORS[2], 30).sum() == 0
    green.click()
    visit.settle()
    assert is_color(visit.picture()[60:, :600], COLORS[2], 30).sum() > 100


@pytest.mark.browser
def test_the_picture_holds_map_title_and_legend(visit: Visit, tmp_path: Path):
    visit.open("n=20000&extras=1")
    with visit.page.expect_download() as download:
        visit.tool("picture")
    assert download.value.suggested_filename == "latent-map.png"
    download.value.save_as(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        picture = np.asarray(image.convert("RGB")).astype(int)
    width = visit.page.locator(".lm").bounding_box()["width"]
    assert picture.shape[1] >= 2 * (width - 4)
    assert (picture[:90, :300].sum(axis=-1) < 300).sum() > 300  # the title
    for color in COLORS:
        assert is_color(picture[100:, :1200], color, 25).sum() > 300  # the points
        assert is_color(picture[100:500, -360:], color, 2).sum() > 100  # the legend's dots


@pytest.mark.browser
def test_a_step_of_a_path_can_be_picked(visit: Visit):
    visit.open("n=2000&extras=1")
    left, top, right, bottom = square_box(visit.picture())
    x, y = visit.corner()
    visit.page.mouse.click(x + (left + right) / 2, y + (top + bottom) / 2)
    assert visit.text("step", r"\(\d, \d\)") == "(0, 8)"


@pytest.mark.browser
@pytest.mark.slow
def test_a_crowded_map_shows_density_until_it_is_zoomed(visit: Visit):
    visit.open("n=1000000")
    stage = visit.page.locator(".lm")
    assert stage.get_attribute("data-dense") == "true"
    picture = visit.picture()[60:, :700]
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 5000  # shades, not one color a class
    visit.look_at_the_square()
    for _ in range(4):
        visit.tool("zoomIn")
    visit.settle()
    assert stage.get_attribute("data-dense") == "false"


@pytest.mark.browser
def test_a_lost_context_is_drawn_anew(visit: Visit):
    visit.open("n=20000")
    before = visit.picture()
    visit.page.evaluate("window.lost = window.contexts[0].getExtension('WEBGL_lose_context'); lost.loseContext()")
    visit.page.wait_for_timeout(500)
    visit.page.evaluate("window.lost.restoreContext()")
    visit.page.wait_for_timeout(1500)
    assert (np.abs(visit.picture() - before).max(axis=-1) > 40).mean() < 0.005


@pytest.mark.browser
def test_dark_pages_get_a_dark_map(browser: Browser, server: str):
    with browser.new_context(viewport={"width": 1366, "height": 1000}, color_scheme="dark") as context:
        picture = Visit(context, server).open("n=20000").picture()
    assert np.median(picture.sum(axis=-1)) < 150
    for color in palettes.categories(7, "dark"):
        assert is_color(picture[60:, :700], color, 40).sum() > 50


@pytest.mark.browser
def test_without_webgl_the_map_still_draws_and_selects(playwright: Playwright, server: str):
    opened = launch(playwright, NO_GL)
    try:
        with opened.new_context(viewport={"width": 1366, "height": 1000}, color_scheme="light") as context:
            visit = Visit(context, server).open("n=100000")
            assert visit.page.locator(".lm").get_attribute("data-renderer") == "canvas"
            assert "no WebGL" in (visit.page.locator(".lm-status").text_content() or "")
            picture = visit.picture()
            for color in COLORS:
                assert is_color(picture[60:, :700], color, 40).sum() > 300
            visit.tool("lasso")
            visit.drag(round_square(picture))
            visit.text("selected", "10000")
            assert visit.refused == []
    finally:
        opened.close()
