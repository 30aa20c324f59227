"""Three stories walked in a real browser, as users told them, with the clicks counted.

    .venv/bin/python -m benchmarks.browser.stories FOLDER   with pictures of every station, themes and sizes

The counts go to docs/pages.md, beside those of the first round of users.
"""

import argparse
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, sync_playwright
from pymatgen.core import Lattice, Structure

from benchmarks.report import publish, table
from tests.support.browsing import settle, settle_map
from tests.support.serving import CHROMIUM, QUIET, ROOT, SOFTWARE_GL, served

SIZES = ((1440, 900), (1280, 720), (900, 900))
PAGES = ROOT / "docs" / "pages.md"
BEFORE = {  # by the first round of users, on an earlier state
    "a ranking is seen": "1",
    "why a field stands where it does": "2",
    "that field on the map": "3",
    "the ranking as a file": "2",
    "a crystal is found on the map, with its card": "not reached by its formula",
    "a walk between two crystals, from the map": "8 and two searches",
    "a walk, ready to be shown to a group": "6, no presentation",
    "own files have their verdicts": "2",
}


class Visitor:
    """One visitor who clicks, and counts it."""

    def __init__(self, page: Page, address: str, shoot: Callable[[Page, str], None]) -> None:
        self.page, self._address, self._shoot = page, address, shoot
        self.clicks, self.searches = 0, 0
        self.counted: dict[str, str] = {}

    def begin(self) -> None:
        """Open Home; what was clicked before no longer counts."""
        self.clicks = self.searches = 0
        self.page.goto(self._address)
        settle(self.page, "MatGen Explorer")

    def click(self, what: Locator) -> None:
        """Click, and count it."""
        what.first.click()
        self.clicks += 1

    def button(self, name: str | re.Pattern[str]) -> None:
        """Click a button."""
        self.click(self.page.get_by_role("button", name=name))

    def go_to(self, title: str) -> None:
        """Click in the navigation."""
        self.click(self.page.locator("[data-testid=stTopNavLink]", has_text=title))
        settle(self.page, title)

    def search(self, text: str) -> None:
        """Type into the search line of the map."""
        line = self.page.get_by_role("textbox", name="Find a formula or search")
        line.fill(text)
        line.press("Enter")
        self.searches += 1

    def reached(self, what: str, picture: str) -> None:
        """Keep the count and a picture."""
        searches = {0: "", 1: " and a search"}.get(self.searches, f" and {self.searches} searches")
        self.counted[what] = f"{self.clicks}{searches}"
        self._shoot(self.page, picture)


def chemist(visitor: Visitor) -> None:
    """She plans: a ranking, why, where on the map, and a file to take along."""
    page = visitor.page
    visitor.begin()
    visitor.button("4. A ranking")
    settle(page, "Phase fields")
    page.locator(".js-plotly-plot .point").first.wait_for()
    visitor.reached("a ranking is seen", "chemist_ranking")
    visitor.reached("why a field stands where it does", "chemist_why")  # its card is open
    with page.expect_download():
        visitor.button("Save as CSV")
    visitor.reached("the ranking as a file", "chemist_file")
    visitor.clicks -= 1
    visitor.button("Show on latent map")
    settle(page, "Latent map")
    settle_map(page)
    visitor.reached("that field on the map", "chemist_map")


def scientist(visitor: Visitor) -> None:
    """She browses: finds a crystal, looks at it, and walks from it to another one."""
    page = visitor.page
    visitor.begin()
    visitor.go_to("Latent map")
    settle_map(page)
    page.get_by_label("Model").click()
    visitor.clicks += 1
    visitor.click(page.get_by_role("option", name="icsg3d", exact=True))
    page.get_by_text("known crystals").first.wait_for()
    settle_map(page)
    visitor.search("NaCl")
    page.get_by_text("card opened").wait_for()
    page.locator(".crystal-viewer canvas").first.wait_for()
    settle(page, "Latent map")
    visitor.reached("a crystal is found on the map, with its card", "scientist_found")
    visitor.button("Add to journey")
    settle(page, "Latent map")  # a page that runs again takes back what is being typed
    visitor.search("SrTiO3")
    page.get_by_text(re.compile("SrTiO3?.*card opened")).wait_for()
    settle(page, "Latent map")
    visitor.button("Add to journey")
    visitor.button(re.compile("Journey of 2"))
    walked(page)
    visitor.reached("a walk between two crystals, from the map", "scientist_walk")


def speaker(visitor: Visitor) -> None:
    """He shows a walk to a group."""
    page = visitor.page
    visitor.begin()
    visitor.button("3. A walk")
    walked(page)
    visitor._shoot(page, "speaker_walk")
    visitor.button("Present")
    page.locator(".fs-talk, .presentation, dialog").first.wait_for()
    page.wait_for_timeout(800)
    visitor.reached("a walk, ready to be shown to a group", "speaker_title")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(800)
    visitor._shoot(page, "speaker_step")
    page.keyboard.press("Escape")


def owner(visitor: Visitor) -> None:
    """She brings her own crystals."""
    page = visitor.page
    visitor.begin()
    visitor.go_to("Place my structures")
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for symbols, edge in ((("Na", "Cl"), 5.64), (("Cs", "I"), 4.57), (("Mg", "O"), 4.21)):
            group = "Pm-3m" if symbols[0] == "Cs" else "Fm-3m"
            crystal = Structure.from_spacegroup(group, Lattice.cubic(edge), symbols, [[0, 0, 0], [0.5, 0.5, 0.5]])
            files.append(str(Path(folder) / f"{''.join(symbols)}.cif"))
            crystal.to(files[-1])
        with page.expect_file_chooser() as chosen:
            visitor.button(re.compile("Browse|Upload"))
        chosen.value.set_files(files)
        page.get_by_text(re.compile("3 of 3|placed")).first.wait_for()
        settle(page, "Place my structures")
        settle_map(page)
    visitor.reached("own files have their verdicts", "owner_placed")


def walked(page: Page) -> None:
    """Wait until a journey is whole."""
    settle(page, "Journeys")
    page.locator(".fs-light").first.wait_for()
    page.wait_for_function("!document.querySelector('.fs-coming')")
    settle_map(page)
    page.locator(".crystal-viewer canvas").first.wait_for()


STORIES = (chemist, scientist, speaker, owner)


def walk(browser: Browser, address: str, folder: Path, size: tuple[int, int], dark: bool) -> dict[str, str]:
    """Walk all stories at one size in one theme."""
    theme = "dark" if dark else "light"

    def shoot(page: Page, name: str) -> None:
        page.wait_for_timeout(600)
        page.screenshot(path=folder / f"{name}_{size[0]}_{theme}.png")

    counted: dict[str, str] = {}
    for story in STORIES:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, accept_downloads=True
        )
        page = context.new_page()
        page.set_default_timeout(120_000)
        visitor = Visitor(page, address, shoot)
        story(visitor)
        counted |= visitor.counted
        context.close()
    return counted


def main() -> None:
    """Walk in every size and theme; write the counts."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.browser.stories")
    asked.add_argument("folder", type=Path, help="where the pictures go")
    folder = asked.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, str]] = []
    with sync_playwright() as playwright, served(ROOT / "app.py") as address:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *SOFTWARE_GL])
        for size in SIZES:
            found += [walk(browser, address, folder, size, dark) for dark in (False, True)]
        browser.close()
    assert all(each == found[0] for each in found), "the way is another in another size or theme"
    publish(
        "clicks",
        "Clicks from Home, walked at 1440 x 900, 1280 x 720 and 900 x 900 in both themes:",
        table(["until", "clicks", "before"], [(what, clicks, BEFORE[what]) for what, clicks in found[0].items()]),
        file=PAGES,
    )


if __name__ == "__main__":
    main()
