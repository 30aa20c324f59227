"""How long people wait, in a real browser: first picture, click to card or sign of life, lasso to table, bytes sent up.

Chromium draws by software here (SwiftShader), so a machine with a graphics card is quicker. The map of many points is
the page of the browser tests with made points; the card is that of the app with its shipped crystals.

    .venv/bin/python -m benchmarks.browser.app
"""

import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.report import publish, table
from tests.support.browsing import settle
from tests.support.serving import CHROMIUM, QUIET, ROOT, SOFTWARE_GL, WATCH_CONTEXTS, served

REPEATS = 5
LINE_AFTER = 0.05  # seconds for which the line under the upper edge waits: static/app.css
# Notes how long after a press the page says that it runs, which is when that line begins to wait.
WATCH_SIGNS = """() => {
  let pressed = 0;
  addEventListener('pointerdown', () => { pressed = performance.now(); window.signOfLife = null; }, true);
  new MutationObserver(() => {
    const running = document.querySelector('[data-test-script-state=running]');
    if (running && pressed && window.signOfLife === null) window.signOfLife = performance.now() - pressed;
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ['data-test-script-state'] });
}"""


@contextmanager
def visited(browser: Browser) -> Iterator[tuple[Page, list[int]]]:
    """A fresh visitor's page, and the sizes of what it sends up."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(WATCH_CONTEXTS)
    page, sent = context.new_page(), list[int]()
    page.set_default_timeout(120_000)
    page.on("websocket", lambda channel: channel.on("framesent", lambda frame: sent.append(len(frame))))
    yield page, sent
    context.close()


def ready(page: Page) -> None:
    """Wait until a map is there and all of it is drawn."""
    page.locator(".lm[data-state=ready]").wait_for()


def timed(call: Any) -> float:
    """Run once; return seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def first_pictures(browser: Browser, address: str, n_points: int) -> list[float]:
    """Seconds from the address to the whole map, once for each fresh visitor; the first finds an idle server."""
    found = []
    for _ in range(REPEATS):
        with visited(browser) as (page, _):

            def look(page: Page = page) -> None:
                page.goto(f"{address}/?n={n_points}")
                ready(page)

            found.append(timed(look))
    return found


def lassos(browser: Browser, address: str, n_points: int) -> tuple[list[float], list[int]]:
    """Seconds from the end of a box to the table of what it holds, and bytes sent up each time."""
    found, sizes = [], []
    with visited(browser) as (page, sent):
        page.goto(f"{address}/?n={n_points}&table=1")
        ready(page)
        page.locator("[data-tool=box]").click()
        plot = page.locator(".lm").bounding_box()
        assert plot is not None
        for k in range(REPEATS):
            before = page.get_by_text("selected=").inner_text()
            page.mouse.move(plot["x"] + 250 + 10 * k, plot["y"] + 150)
            page.mouse.down()
            page.mouse.move(plot["x"] + 600, plot["y"] + 420, steps=8)
            sent.clear()

            def release(page: Page = page, before: str = before) -> None:
                page.mouse.up()
                page.wait_for_function(
                    "before => { const text = document.body.innerText.match(/selected=(\\d+)/);"
                    " const rows = document.querySelector('[data-testid=stDataFrame]');"
                    " return text && text[0] !== before && rows; }",
                    arg=before,
                )

            found.append(timed(release))
            sizes.append(sum(sent))
            ready(page)
    return found, sizes


def cards(browser: Browser, address: str) -> tuple[list[float], list[float], list[int], int]:
    """Click on crystals of the map, one after the other.

    Returns:
        Seconds to the crystal's name on the card, seconds to the end of the card, which decodes the crystal, bytes
        sent up, and the WebGL contexts of the page.
    """
    found, whole, sizes = [], [], []
    with visited(browser) as (page, sent):
        page.goto(f"{address}/latent_map?map=icsg3d")
        ready(page)
        plot = page.locator(".lm").bounding_box()
        assert plot is not None
        card = page.locator("[data-testid=stHeading] h3").first
        for k in range(REPEATS + 1):
            before = card.inner_text() if card.count() else ""
            if not hover_a_point(page, plot, 0.3 + 0.07 * k):
                continue
            sent.clear()

            def click(page: Page = page, before: str = before) -> None:
                page.mouse.down()
                page.mouse.up()
                page.wait_for_function(
                    "before => { const card = document.querySelector('[data-testid=stHeading] h3');"
                    " return card && card.innerText !== before; }",
                    arg=before,
                )

            found.append(timed(click))
            whole.append(found[-1] + timed(lambda: page.locator("[data-test-script-state=notRunning]").wait_for()))
            sizes.append(sum(sent))
            page.wait_for_timeout(2500)
        contexts = page.evaluate("contexts.filter(each => !each.isContextLost() && each.canvas.isConnected).length")
    return found, whole, sizes, int(contexts)


def hover_a_point(page: Page, plot: Any, height: float) -> bool:
    """Move along a line of the map until the pointer rests on a point."""
    for x in range(20, 90):
        page.mouse.move(plot["x"] + x / 100 * plot["width"], plot["y"] + height * plot["height"])
        page.wait_for_timeout(30)
        if page.locator(".lm-stage.lm-over").count():
            return True
    return False


def signs_of_life(browser: Browser, address: str) -> list[float]:
    """Seconds from a press on something that takes long to the line which says that the page is at it."""
    choices = (
        ("latent_map", "Latent map", "Model", "formula_lm_icsd"),
        ("latent_map?map=icsg3d", "Latent map", "Projection", "t-SNE"),
        ("phase_fields", "Phase fields", "Ranker", "phase_field_norm"),
    )
    found = []
    for place, title, label, option in choices:
        with visited(browser) as (page, _):
            page.goto(f"{address}/{place}")
            settle(page, title)
            page.evaluate(WATCH_SIGNS)
            page.get_by_label(label).first.click()
            page.get_by_role("option", name=re.compile(rf"^{option}")).first.click()
            page.wait_for_function("window.signOfLife !== null")
            found.append(page.evaluate("window.signOfLife") / 1000 + LINE_AFTER)
    with visited(browser) as (page, _):
        page.goto(f"{address}/journeys?journey=icsg3d&via=mp-5229%2Cmp-3574")
        settle(page, "Journeys")
        page.evaluate(WATCH_SIGNS)
        page.get_by_role("button", name="Reverse").click()
        page.wait_for_function("window.signOfLife !== null")
        found.append(page.evaluate("window.signOfLife") / 1000 + LINE_AFTER)
    return found


def row(what: str, seconds: list[float], budget: str) -> tuple[str, ...]:
    """One row of the table: the first time, and the median of the others."""
    return what, budget, f"{seconds[0]:.2f} s", f"{statistics.median(seconds[1:]):.2f} s"


def main() -> None:
    """Write one table."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *SOFTWARE_GL])
        with served(ROOT / "tests" / "support" / "apps" / "latent_map_app.py") as address:
            pictures = first_pictures(browser, address, 100_000)
            tables, lasso_bytes = lassos(browser, address, 1_000_000)
        with served(ROOT / "app.py") as address:
            clicks, whole, click_bytes, contexts = cards(browser, address)
            signs = signs_of_life(browser, address)
        browser.close()
    publish(
        "app",
        "The app in headless Chromium, which draws by software there:",
        table(
            ["what", "budget", "first time", "then (median)"],
            [
                row("address to whole map, 100,000 points", pictures, "3 s"),
                row("click to the crystal's card", clicks, "0.5 s"),
                row("click to the end of the card, its crystal decoded", whole, "none"),
                (
                    "press to sign of life: longest, median of 4",
                    "0.3 s",
                    f"{max(signs):.2f} s",
                    f"{statistics.median(signs):.2f} s",
                ),
                row("lasso to table, 1,000,000 points", tables, "1 s"),
                (
                    "sent up for a lasso, for a click",
                    "5 kB",
                    f"{max(lasso_bytes):,} bytes",
                    f"{max(click_bytes):,} bytes",
                ),
                ("WebGL contexts with map and viewer", "2", str(contexts), ""),
            ],
        ),
    )


if __name__ == "__main__":
    main()
