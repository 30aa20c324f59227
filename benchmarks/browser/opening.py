"""How long people wait for commands and pages: of a server that has just started, and of one that was used before.

    .venv/bin/python -m benchmarks.browser.opening                   prints the table and writes it to docs/speed.md
    .venv/bin/python -m benchmarks.browser.opening --before FOLDER   the same beside an older copy of the project

Each figure is taken on a quiet machine and again beside a process that keeps one core busy. Chromium draws by software.
"""

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.report import publish, table
from tests.support.serving import CHROMIUM, QUIET, ROOT, SOFTWARE_GL, served

REPEATS = 3
HOME = "MatGen Explorer"
PAGES = {
    HOME: "",
    "Latent map": "latent_map",
    "Structure bench": "structure_bench",
    "Journeys": "journeys",
    "Place my structures": "place",
    "Phase fields": "phase_fields",
    "Compositions": "compositions",
    "Crystals": "crystals",
    "Validate": "validate",
    "Trust": "trust",
}
COMMAND = "from matgen_core.cli import main; main()"
FIRST, WHOLE = "first content", "whole"
# What is promised on a quiet machine of two cores, in seconds; twice that beside a busy core.
BUDGETS = {("matgen --help", ""): 0.3, ("matgen models", ""): 0.6, (HOME, f"cold, {WHOLE}"): 2.0}
BUDGETS |= {(title, f"cold, {FIRST}"): 4.0 for title in PAGES if title != HOME}
BUDGETS |= {(title, f"warm, {FIRST}"): 0.5 for title in PAGES}

Waits = dict[tuple[str, str], list[float]]  # seconds of each repeat, by what was opened and what was waited for


def spin() -> None:
    """Keep a core busy for ever."""
    while True:
        pass


@contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """Keep one core busy, if that is wanted."""
    process = multiprocessing.get_context("spawn").Process(target=spin, daemon=True)
    if wanted:
        process.start()
    try:
        yield
    finally:
        if wanted:
            process.kill()
            process.join()


def commands(root: Path, waits: Waits) -> None:
    """Time the command line."""
    for words in ("--help", "models"):
        for _ in range(max(REPEATS, 2) + 1):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", COMMAND, words],
                cwd=root,
                env={**os.environ, "PYTHONPATH": str(root)},
                check=True,
                capture_output=True,
            )
            waits.setdefault((f"matgen {words}", ""), []).append(time.perf_counter() - start)


@contextmanager
def visitor(browser: Browser) -> Iterator[Page]:
    """A fresh visitor's page."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    yield page
    context.close()


def shown(page: Page, title: str) -> None:
    """Wait for a page's title, and that it is not the one of the page before, which fades."""
    page.wait_for_function(
        "title => [...document.querySelectorAll('h1')].some(each => each.innerText.trim().startsWith(title)"
        " && !each.closest('[data-stale=true]'))",
        arg=title,
        polling=20,
    )


def ended(page: Page) -> None:
    """Wait until the script of a page has run to its end."""
    page.locator("[data-test-script-state=notRunning]").wait_for()


def cold(root: Path, browser: Browser, waits: Waits) -> None:
    """Open each page as the first of a server that has just started."""
    for title, address in PAGES.items():
        for _ in range(REPEATS):
            with served(root / "app.py", root, PYTHONPATH=str(root)) as server, visitor(browser) as page:
                start = time.perf_counter()
                page.goto(f"{server}/{address}")
                shown(page, title)
                waits.setdefault((title, f"cold, {FIRST}"), []).append(time.perf_counter() - start)
                ended(page)
                waits.setdefault((title, f"cold, {WHOLE}"), []).append(time.perf_counter() - start)


def warm(root: Path, browser: Browser, waits: Waits) -> None:
    """Click from page to page, after each has been opened once."""
    with served(root / "app.py", root, PYTHONPATH=str(root)) as server, visitor(browser) as page:
        page.goto(server)
        shown(page, HOME)
        for turn in range(REPEATS + 1):
            for title in [*list(PAGES)[1:], HOME]:
                link = "Home" if title == HOME else title
                ended(page)
                page.wait_for_timeout(500)
                start = time.perf_counter()
                page.locator("[data-testid=stTopNavLink]", has_text=link).first.click()
                shown(page, title)
                if turn:
                    waits.setdefault((title, f"warm, {FIRST}"), []).append(time.perf_counter() - start)
                ended(page)
                if turn:
                    waits.setdefault((title, f"warm, {WHOLE}"), []).append(time.perf_counter() - start)


def measured(root: Path, browser: Browser, is_busy: bool) -> Waits:
    """Measure one copy of the project."""
    waits: Waits = {}
    with busy(is_busy):
        commands(root, waits)
        cold(root, browser, waits)
        warm(root, browser, waits)
    return waits


def rows(runs: list[Waits]) -> list[list[str]]:
    """A row for each wait: its budget and the median of each run; of commands, the first repeat warms the disk."""
    found = []
    for what, when in sorted(runs[0], key=lambda key: (key[1].split(",")[0], key[1].endswith(WHOLE))):
        budget = BUDGETS.get((what, when))
        medians = [statistics.median(run[what, when][0 if when else 1 :]) for run in runs]
        name = f"{'Home' if what == HOME else what}{f', {when}' if when else ''}"
        found.append([name, f"{budget:g} s" if budget else "none", *(f"{each:.2f} s" for each in medians)])
    return found


def main() -> None:
    """Write one table."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.browser.opening")
    asked.add_argument("--before", type=Path, help="another copy of the project, installed as this one")
    before = asked.parse_args().before
    copies = {"before": before.resolve(), "now": ROOT} if before else {"now": ROOT}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *SOFTWARE_GL])
        runs = {
            f"{'beside a busy core' if is_busy else 'quiet'}{f', {name}' if before else ''}": measured(
                root, browser, is_busy
            )
            for is_busy in (False, True)
            for name, root in copies.items()
        }
        browser.close()
    blocks = (
        f"Seconds until something of a page stands, and until it stands whole, on {os.cpu_count()} cores; the median of"
        f" {REPEATS}. Cold: the first address of a server that has just started. Warm: a click in the navigation. The"
        " budgets are for a quiet machine; beside a busy core twice as much is allowed.",
        table(["what", "budget", *runs], rows(list(runs.values()))),
    )
    if before:
        publish("opening before and after", *blocks)
    else:
        publish("opening", *blocks)


if __name__ == "__main__":
    main()
