"""How long files hold a server that were made to: seconds to their one line, and what others wait meanwhile.

One visitor hands files to the structure bench, another one goes from page to page. Last the server is asked to end
while a file is being drawn.

    .venv/bin/python -m benchmarks.hostile
"""

import itertools
import signal
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.serving import CHROMIUM, QUIET, ROOT, SOFTWARE_GL, server_of

PAGES = ("phase_fields", "trust", "compositions")
HEAD = "x\n1\n4 0 0\n0 4 0\n0 0 4\n"
# Notes in the page when the line of a file appears, or its crystal: a click of the other visitor may be under way.
WATCH = """name => {
  const start = performance.now();
  const look = setInterval(() => {
    const alerts = [...document.querySelectorAll("[data-testid=stAlert]")].map(alert => alert.innerText);
    const line = alerts.find(text => text.includes(`${name}:`));
    if (!line && !document.querySelector(".crystal-viewer canvas")) return;
    window.found = { seconds: (performance.now() - start) / 1000, line: line || "drawn" };
    clearInterval(look);
  }, 50);
}"""


def crowd(seed: int) -> str:
    """A POSCAR of 60 sites whose bonds take seconds to find, and would on a slow machine take longer than it may."""
    places = np.random.default_rng(seed).random((60, 3))
    return f"{HEAD}Na\n60\ndirect\n" + "".join(f"{x} {y} {z}\n" for x, y, z in places)


FILES = {
    "thin.vasp": "x\n1\n1e6 0 0\n0 4 0\n0 0 4\nNa Cl\n1 1\ndirect\n0 0 0\n.5 .5 .5\n",
    "far_atom.vasp": f"{HEAD}Na Cl\n1 1\ndirect\n0 0 0\n1e17 .5 .5\n",
    "words.cif": "data_x\n" + "_x '" * 2_000_000,
    "crowded.vasp": crowd(0),
}


def open_page(browser: Browser, address: str) -> Page:
    """A fresh visitor on a page that has been drawn to its end."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    is_over(page)
    return page


def is_over(page: Page) -> None:
    """Wait until the page has been drawn to its end."""
    page.get_by_text("The same in Python").wait_for()
    page.locator("[data-test-script-state=notRunning]").wait_for()


def hand_over(page: Page, name: str) -> None:
    """Give a file to the bench."""
    if not page.get_by_text("Files stay in this session").is_visible():
        page.get_by_role("button", name="Add files").click()
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/plain", "buffer": FILES[name].encode()}
    )


def go(page: Page, title: str) -> float:
    """Go to another page by its link; return seconds to its end."""
    start = time.perf_counter()
    page.locator(f"a[href$='{title}']").first.click()
    page.wait_for_url(f"**/{title}*")
    is_over(page)
    return time.perf_counter() - start


def outcome(page: Page, name: str, other: Page, links: Any) -> tuple[float, str, list[float]]:
    """Hand a file over while another visitor clicks; seconds to its line, the line, and the seconds of the clicks."""
    page.evaluate(WATCH, name)
    hand_over(page, name)
    clicks = []
    while not (found := page.evaluate("window.found")):
        clicks.append(go(other, next(links)))
    return found["seconds"], found["line"], clicks


def main() -> None:
    """Print one table."""
    with sync_playwright() as playwright, TemporaryDirectory() as temporary:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *SOFTWARE_GL])
        with server_of(ROOT / "app.py", TMPDIR=temporary) as (address, server):
            links = itertools.cycle(PAGES)
            other = open_page(browser, f"{address}/trust")
            quiet = [go(other, next(links)) for _ in range(9)][3:]
            print(f"clicks before: median {statistics.median(quiet):.2f} s, longest {max(quiet):.2f} s")
            print("| file | to its line | line | others' clicks: n, median, longest |")
            print("|---|---|---|---|")
            for name in FILES:
                page = open_page(browser, f"{address}/structure_bench")
                seconds, line, clicks = outcome(page, name, other, links)
                waits = f"{len(clicks)}, {statistics.median(clicks):.2f} s, {max(clicks):.2f} s" if clicks else "none"
                print(f"| {name} | {seconds:.1f} s | {line} | {waits} |", flush=True)
                page.context.close()
            page = open_page(browser, f"{address}/structure_bench")
            hand_over(page, "crowded.vasp")
            page.locator("[data-test-script-state=running]").wait_for()
            start = time.perf_counter()
            server.send_signal(signal.SIGTERM)
            server.wait(60)
            print(f"SIGTERM while a file is being drawn: the server is gone after {time.perf_counter() - start:.1f} s")
        browser.close()
        print(f"left in its temporary folder: {[path.name for path in Path(temporary).iterdir()] or 'nothing'}")


if __name__ == "__main__":
    main()
