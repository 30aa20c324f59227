"""The story of a chemist, in a real browser without network: rank, look closer, find it on the map, judge it."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from pymatgen.core import Lattice

from matgen_core import checkpoint
from matgen_core.data.structure_export import cif
from matgen_core.materials import diffraction
from matgen_core.materials.levels import PHASE_FIELD
from matgen_core.tasks import ranking
from tests.support.browsing import settle, settle_map
from tests.support.crystals import RUTILE, of_group

pytestmark = pytest.mark.browser

Shoot = Callable[[Any, str], None]
TITLES = {
    "": "MatGen Explorer",
    "structure_bench": "Structure bench",
    "place": "Place my structures",
    "phase_fields": "Phase fields",
    "compositions": "Compositions",
    "crystals": "Crystals",
    "validate": "Validate",
    "latent_map": "Latent map",
    "journeys": "Journeys",
    "trust": "Trust",
}


def share_of_colors(page: Any) -> float:
    """Share of the map's pixels that are neither white nor gray: points in the colors of the legend."""
    settle_map(page)
    image = Image.open(io.BytesIO(page.locator(".lm").screenshot())).convert("RGB")
    pixels = np.asarray(image).astype(int)[60:, 200:]
    return float((np.ptp(pixels, axis=-1) > 40).mean())


def ranked(name: str = "phase_field_vae") -> list[str]:
    """The published study's candidates as a checkpoint ranks them, written as the page writes them."""
    model = checkpoint.load(name)
    table = ranking.rank(model, ranking.STUDY.fields(ranking.known_fields(model)))
    return [PHASE_FIELD.display(field) for field in table["phase_field"]]


def test_a_link_to_a_page_opens_it_in_the_app_even_first(
    browser_page: Any, streamlit_app: Callable[[str], str]
) -> None:
    browser_page.goto(f"{streamlit_app('app.py')}/phase_fields?ranker=phase_field_norm&field=Cl-Li-S-Sn")
    settle(browser_page, "Phase fields")
    assert browser_page.get_by_role("heading", name="Li-Sn-S-Cl").is_visible()
    assert browser_page.get_by_role("link", name="Trust").is_visible()
    assert browser_page.get_by_role("link", name="widgets").count() == 0
    assert "ranker=phase_field_norm" in browser_page.url
    # a line under the upper edge as long as the page runs, and no line else
    line = "getComputedStyle(document.querySelector('[data-testid=stApp]'), '::before').animationName"
    assert browser_page.evaluate(line) != "sign-of-life"
    browser_page.locator("[data-test-script-state]").evaluate("app => app.dataset.testScriptState = 'running'")
    assert browser_page.evaluate(line) == "sign-of-life"


def test_the_story(browser_page: Any, streamlit_app: Callable[[str], str], shoot: Shoot) -> None:
    page, fields = browser_page, ranked()
    page.goto(streamlit_app("app.py"))
    settle(page, "MatGen Explorer")
    shoot(page, "home")

    page.get_by_role("button", name="4. A ranking").click()
    settle(page, "Phase fields")
    page.get_by_text("303 fields").wait_for()
    page.get_by_role("heading", name="Li-Sn-S-Cl", exact=True).wait_for()
    page.locator(".js-plotly-plot .point").first.wait_for()
    shoot(page, "phase_fields")

    dots = page.locator("[class*=st-key-ranking_chart] .trace").first.locator(".point")
    box = dots.nth(4).bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("heading", name=fields[4], exact=True).wait_for()
    page.get_by_text("Nearest known fields").first.wait_for()
    page.get_by_text("rank 5 of 303").wait_for()

    tin = page.get_by_role("gridcell", name="Tin, may")
    tin.focus()
    page.keyboard.press("n")
    page.get_by_role("gridcell", name="Tin, never").wait_for()
    page.get_by_text("282 fields").wait_for()
    tin = page.get_by_role("gridcell", name="Tin, never")
    tin.click()
    page.get_by_text("303 fields").wait_for()
    assert "may=" in page.url or page.get_by_role("gridcell", name="Tin, may").is_visible()

    page.get_by_role("button", name="Show on latent map").click()
    settle(page, "Latent map")
    page.get_by_role("heading", name=fields[4], exact=True).wait_for()
    page.get_by_text("not in the training data").wait_for()
    settle_map(page)
    assert page.locator(".lm").get_attribute("data-renderer") == "webgl"
    assert share_of_colors(page) > 0.02
    shoot(page, "latent_map")
    address = page.url
    assert "at=" in address

    table = checkpoint.load("phase_field_vae").index
    n = len(table)
    page.locator("[data-tool=lasso]").click()
    plot = page.locator(".lm").bounding_box()
    corners = [(0.02, 0.98), (0.02, 0.5), (0.98, 0.5), (0.98, 0.98), (0.05, 0.98)]
    points = [(plot["x"] + x * plot["width"], plot["y"] + y * plot["height"]) for x, y in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()
    page.get_by_role("heading", name="Selected by lasso").wait_for()
    settle_map(page)
    (lower,) = re.findall(r"Selected by lasso: ([\d,]+) fields", page.locator("h3").all_inner_texts().__str__())
    assert 0 < int(lower.replace(",", "")) < n
    assert f"{lower} of {n:,} fields selected" in page.locator(".lm-status").inner_text()
    page.get_by_text(f"Showing {lower} of {n:,} known fields").wait_for()
    page.get_by_role("button", name="Clear selection").click()
    page.get_by_text(f"Showing {n:,} of {n:,} known fields").wait_for()

    search = page.get_by_role("textbox", name="Find a field or search")
    search.fill("Li-*-S-*")
    search.press("Enter")
    page.get_by_role("heading", name="Found").wait_for()
    said = page.get_by_text(re.compile("hit 1 is open"))
    said.wait_for()
    found = said.inner_text()

    page.get_by_role("link", name="Trust").click()
    settle(page, "Trust")
    page.get_by_text("Held-out evidence", exact=False).first.wait_for()
    page.locator(".js-plotly-plot .point").first.wait_for()
    shoot(page, "trust")

    page.get_by_role("link", name="Latent map").click()
    settle(page, "Latent map")
    said.wait_for()  # state outlives the page
    assert said.inner_text() == found
    assert page.get_by_role("textbox", name="Find a field or search").input_value() == "Li-*-S-*"

    page.goto(address)  # a new session at the same address
    settle(page, "Latent map")
    page.get_by_role("heading", name=fields[4], exact=True).wait_for()


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080)])
def test_nothing_is_wider_than_the_window(
    browser_page: Any, streamlit_app: Callable[[str], str], shoot: Shoot, width: int, height: int
) -> None:
    browser_page.set_viewport_size({"width": width, "height": height})
    for path, title in TITLES.items():
        browser_page.goto(f"{streamlit_app('app.py')}/{path}")
        settle(browser_page, title)
        shoot(browser_page, f"{path or 'home'}_{width}")
        main = browser_page.locator("[data-testid=stMain]")
        assert main.evaluate("element => element.scrollWidth <= element.clientWidth"), title


@pytest.mark.usefixtures("viewer_library")
def test_the_bench_shows_what_a_model_decodes_and_what_a_visitor_brings(
    browser_page: Any, streamlit_app: Callable[[str], str], shoot: Shoot, tmp_path: Path
) -> None:
    page = browser_page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{streamlit_app('app.py')}/structure_bench")
    settle(page, "Structure bench")
    shoot(page, "bench_empty")
    page.get_by_role("button", name="Lay on the bench").nth(2).click()
    page.locator(".crystal-viewer canvas").first.wait_for()
    page.get_by_text("Tolerance of symmetry").wait_for()
    page.wait_for_timeout(3000)  # the balls are drawn by software
    shoot(page, "bench")

    file = tmp_path / "<img src=x onerror=alert(1)> **rutile**.cif"
    file.write_text(cif(RUTILE))
    pattern = diffraction.profile(diffraction.reflections(RUTILE, "CuKa", (20, 80)), 0.4, (20, 80), step=0.05)
    noise = np.random.default_rng(0).normal(0, 2, len(pattern))
    measured = tmp_path / "run 7.xy"
    measured.write_text(pattern.assign(Intensity=50 + pattern["Intensity"] + noise).to_csv(sep=" ", index=False))
    page.get_by_role("button", name="Add files").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_text("<img src=x onerror=alert(1)> **rutile**.cif").first.wait_for()
    page.get_by_role("button", name="Add files").click()
    page.get_by_text("Files stay in this session").wait_for(state="hidden")
    for view, said in (
        ("Sites", "Tolerance of symmetry"),
        ("Diffraction", "Kinematic intensities"),
        ("Properties", "calibrated standard deviation"),
        ("Comparison", "Cells are reduced"),
        ("Export", "camera button"),
    ):
        page.get_by_role("radio", name=view).or_(page.get_by_role("button", name=view, exact=True)).first.click()
        page.get_by_text(said).first.wait_for()
        if view == "Diffraction":
            page.get_by_role("button", name="Measured pattern").click()
            page.locator("input[type=file]").last.set_input_files(measured)
            page.get_by_text("Correlation of run 7.xy").wait_for()
            page.get_by_role("button", name="Measured pattern").click()
            page.get_by_text("It is laid over").wait_for(state="hidden")
        settle(page, "Structure bench")
        last = page.get_by_text("The same in Python")
        expect(last).to_have_count(1)  # while a page is drawn, that of before still fades
        last.scroll_into_view_if_needed()
        shoot(page, f"bench_{view.lower()}")
        main = page.locator("[data-testid=stMain]")
        assert main.evaluate("element => element.scrollWidth <= element.clientWidth"), view
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.usefixtures("viewer_library")
def test_a_file_that_would_never_be_drawn_is_one_line_and_the_next_one_is_drawn(
    browser_page: Any, streamlit_app: Callable[[str], str], tmp_path: Path, shoot: Shoot
) -> None:
    page = browser_page
    page.set_default_timeout(120_000)  # the files have limits of their own
    crowded = "\n".join(f"{x} {y} {z}" for x, y, z in np.random.default_rng(0).random((60, 3)))
    files = {
        "crowded.vasp": f"x\n1\n4 0 0\n0 4 0\n0 0 4\nNa\n60\ndirect\n{crowded}\n",
        "thin.vasp": "x\n1\n1e6 0 0\n0 4 0\n0 0 4\nNa\n1\ndirect\n0 0 0\n",
        "words.cif": "data_x\n" + "_x '" * 2_000_000,
        "rutile.cif": cif(RUTILE),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    page.goto(f"{streamlit_app('app.py')}/structure_bench")
    settle(page, "Structure bench")
    page.get_by_role("button", name="Add files").click()
    page.locator("input[type=file]").set_input_files([tmp_path / name for name in files])
    page.get_by_text("words.cif: not read: it takes more than 1,000 MB of memory, and was ended").wait_for()
    page.get_by_text("thin.vasp: a cell edge of 1e+06 Å").wait_for()
    page.get_by_role("button", name="Add files").click()
    page.locator(".crystal-viewer canvas").first.wait_for()
    settle(page, "Structure bench")
    assert page.get_by_text("crowded.vasp: not drawn: it takes more than").count() <= 1
    page.get_by_text("point group").first.wait_for()
    shoot(page, "bench_hostile")


@pytest.mark.usefixtures("viewer_library")
def test_a_visitor_places_her_own_crystals(
    browser_page: Any, streamlit_app: Callable[[str], str], shoot: Shoot, tmp_path: Path
) -> None:
    page = browser_page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{streamlit_app('app.py')}/place")
    settle(page, "Place my structures")
    shoot(page, "place_empty")
    cubic = {
        "fluorite.cif": of_group("Fm-3m", Lattice.cubic(5.46), ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
        "my Heusler.cif": of_group(
            "Fm-3m", Lattice.cubic(5.74), ["Co", "Ti", "Al"], [[0.25, 0.25, 0.25], [0, 0, 0], [0.5, 0.5, 0.5]]
        ),
        "<img src=x onerror=alert(1)>.cif": of_group(
            "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
        ),
        "rutile.cif": RUTILE,
    }
    archive = tmp_path / "mine.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name, structure in cubic.items():
            opened.writestr(name, cif(structure))
        opened.writestr("notes.txt", "not a crystal")
    page.locator("input[type=file]").set_input_files(archive)
    page.get_by_role("heading", name="Placed: 4 of 5").wait_for()
    page.get_by_text("Not placed: 1").wait_for()
    page.locator(".crystal-viewer canvas").first.wait_for()
    settle_map(page)
    page.get_by_text("mine.zip/fluorite.cif").first.wait_for()
    page.wait_for_timeout(3000)  # the balls are drawn by software
    shoot(page, "place")
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("element => element.scrollWidth <= element.clientWidth")
    page.get_by_text("The same in Python").scroll_into_view_if_needed()
    shoot(page, "place_table")
    assert page.locator("img[src=x]").count() == 0
    page.get_by_role("button", name="Open on the bench").click()
    settle(page, "Structure bench")
    page.get_by_text("Tolerance of symmetry").wait_for()
    page.get_by_text("mine.zip/fluorite.cif").first.wait_for()
    shoot(page, "place_to_bench")
