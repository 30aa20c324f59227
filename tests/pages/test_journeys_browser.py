"""A walk from a perovskite to a Heusler in a real browser: it fills, is judged, and a step is chosen everywhere."""

import base64
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from matgen_core import checkpoint
from matgen_core.latent.map import LatentMap
from matgen_core.materials.formulas import subscripted
from matgen_core.tasks import journeys
from tests.support.serving import ROOT

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
    expect.set_options(timeout=120_000)

    first, last = journeys.example(space)
    started = time.monotonic()
    page.get_by_role("button", name="Try ").click()
    page.locator(".fs-light").first.wait_for()
    print(f"first frame after {time.monotonic() - started:.2f} s")
    expect(page.locator(".fs-title")).to_have_count(12)
    expect(page.locator(".fs-coming")).to_have_count(0, timeout=240_000)
    print(f"12 steps after {time.monotonic() - started:.2f} s")
    settle(page)
    assert f"via={first}%2C{last}" in page.url

    route = journeys.path(space, [journeys.waypoint(space, key) for key in (first, last)], 12)
    formulas = [step.formula for step in journeys.walk(space, route)]
    shown = page.locator(".fs-title").all_inner_texts()
    assert [re.sub(r"\s", "", text) for text in shown] == formulas
    assert page.locator(".fs-frame img").count() == 12
    frames = page.get_by_role("listbox", name="Steps").get_by_role("option")
    assert frames.nth(0).get_attribute("aria-selected") == "true"

    frames.nth(5).click()
    page.get_by_role("heading", name=f"6 · {subscripted(formulas[5])}").wait_for()
    frames.nth(5).press("ArrowRight")
    page.get_by_role("heading", name=f"7 · {subscripted(formulas[6])}").wait_for()
    expect(page).to_have_url(re.compile("step=7"))

    def looks_at(number: int) -> None:
        """The strip, the card and the address agree."""
        page.get_by_role("heading", name=f"{number} · {subscripted(formulas[number - 1])}").wait_for()
        expect(frames.nth(number - 1)).to_have_attribute("aria-selected", "true")
        if number > 1:
            expect(page).to_have_url(re.compile(f"step={number}$|step={number}&"))

    # No key is lost, however quickly it comes.
    frames.nth(6).press("Home")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(frames.nth(10)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowLeft")
    looks_at(10)

    # It plays to the end, and stops there.
    page.get_by_label("Speed").select_option("fast")
    page.get_by_role("button", name="Play the steps").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    looks_at(12)
    expect(page.get_by_role("button", name="Play the steps")).to_be_visible()
    page.locator(".crystal-viewer canvas").first.wait_for()
    page.locator(".js-plotly-plot .point").first.wait_for()
    shoot(page, "journeys")

    # Strip, crystal and map stand on one small screen, every frame among them.
    page.set_viewport_size({"width": 1280, "height": 720})
    for part in (".fs-frame >> nth=0", ".fs-frame >> nth=11", ".crystal-viewer", ".lm"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= 720, part
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= 1280, part

    # A wheel over the crystal scrolls the page, until it is clicked or Ctrl is held.
    main = page.locator("[data-testid=stMain]")
    stage, drawn = page.locator(".crystal-viewer .stage"), page.locator(".crystal-viewer .ink")
    before = drawn.screenshot()
    stage.hover(position={"x": 20, "y": 100})
    page.mouse.wheel(0, 200)
    page.wait_for_function("document.querySelector('[data-testid=stMain]').scrollTop > 100")
    expect(page.locator(".hint")).to_be_visible()
    main.evaluate("element => element.scrollTo(0, 0)")
    expect(page.locator(".hint")).to_be_hidden()
    assert drawn.screenshot() == before
    stage.click(position={"x": 20, "y": 100})
    page.mouse.wheel(0, -300)
    expect(page.locator(".hint")).to_be_hidden()
    assert drawn.screenshot() != before
    assert main.evaluate("element => element.scrollTop") == 0
    page.mouse.move(5, 5)
    stage.hover(position={"x": 20, "y": 100})
    page.mouse.wheel(0, 200)
    page.wait_for_function("document.querySelector('[data-testid=stMain]').scrollTop > 100")
    main.evaluate("element => element.scrollTo(0, 0)")

    # A picture says what made it.
    with page.expect_download() as download:
        page.locator(".crystal-viewer").get_by_role("button", name="Save as PNG").click()
    with Image.open(download.value.path()) as picture:
        said = picture.text["Description"]
        picture.load()
    assert re.match(r"MatGen Explorer \S+; icsg3d: .*\"n_steps\": 12", said)

    # The same for a room.
    n_runs = len(requests := [])
    page.on("request", lambda request: requests.append(request.url))
    page.get_by_role("button", name="Present").click()
    show = page.get_by_role("dialog")
    assert page.evaluate("document.fullscreenElement === document.documentElement")
    expect(show).to_contain_text("Step 12 of 12")
    shoot(page, "journeys_presented")
    for key, expected in {
        "PageDown": "No light says that a material is stable",
        "ArrowRight": "No light says that a material is stable",  # it is the last
        "Home": "12 steps through the latent space of icsg3d",
        "PageUp": "12 steps through the latent space of icsg3d",  # it is the first
        " ": "Step 1 of 12",
        "Enter": "Step 2 of 12",
        "ArrowDown": "Step 3 of 12",
        "F5": "Step 3 of 12",  # which a remote sends to begin
        "PageDown+PageDown": "Step 5 of 12",
        "Backspace": "Step 4 of 12",
    }.items():
        for each in key.split("+"):
            page.keyboard.press(each)
        expect(show).to_contain_text(expected)
    expect(show.locator(".fs-formula")).to_have_text(formulas[3])
    page.keyboard.press("b")
    expect(show.locator(".fs-formula")).to_be_hidden()
    page.keyboard.press("b")
    show.get_by_role("button", name="Next").click()
    page.keyboard.press(" ")  # a button that was clicked does not hold the keys
    expect(show).to_contain_text("Step 6 of 12")
    for line in show.locator(".fs-answer").all():
        name, word = line.locator("span").last.inner_text(), line.locator("strong")
        assert word.count() == 0 or not word.inner_text().startswith(name.lower()), "nothing is said twice"
    source = (ROOT / "pages/_parts/components/film_strip/browser/elements.js").read_bytes()
    parts = page.evaluate(
        "async ([source, formula]) => (await import(source)).withSubscripts(formula).map((part) => part.innerHTML)",
        ["data:text/javascript;base64," + base64.b64encode(source).decode(), "Mg(HO2)2Fe0.5"],
    )
    assert parts == ["Mg", "(H", "O<sub>2</sub>)<sub>2</sub>", "Fe<sub>0.5</sub>"], "no bracket is lost"
    for scheme, (width, height) in {"light": (1920, 1080), "dark": (1280, 720)}.items():
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowRight")
        parts = [".fs-large", ".fs-formula", ".fs-verdict", ".fs-answers", ".fs-words .fs-map", ".fs-controls"]
        boxes = "(show, parts) => parts.map((part) => show.querySelector(part).getBoundingClientRect().toJSON())"
        for part, box in zip(parts, show.evaluate(boxes, parts), strict=True):
            assert box["top"] >= 0, part
            assert box["bottom"] <= height + 1, part
            assert box["left"] >= 0, part
            assert box["right"] <= width + 1, part
            assert box["height"] > 20, part
    assert len(requests) == n_runs  # nothing was fetched
    page.keyboard.press("Escape")
    expect(show).to_have_count(0)
    page.wait_for_function("!document.fullscreenElement")
    looks_at(6)
    frames.nth(5).press("ArrowRight")
    looks_at(7)
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

    # A model of crystals of any symmetry, as its paper samples: spherical, with a spread, which one click makes.
    space = LatentMap(checkpoint.load("voxel_vae"))
    along = [journeys.waypoint(space, key) for key in journeys.example(space)]
    via = ",".join(each.key for each in along)
    page.goto(f"{streamlit_app('app.py')}/journeys?journey=voxel_vae&way=Spherical&n_path=3&via={via}")
    settle(page)
    expect(page.locator(".fs-title")).to_have_count(3)
    page.get_by_role("button", name="Spread").click()
    page.get_by_role("spinbutton", name="Spread").fill("0.4")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("spread=0.4"))
    page.get_by_role("spinbutton", name="Seed").wait_for()
    page.keyboard.press("Escape")
    steps = list(journeys.walk(space, journeys.path(space, along, 3, "spherical", 0.4, 0)))
    expect(page.locator(".fs-title").nth(1)).to_have_text(steps[1].formula)
    settle(page)
    first = page.locator(".fs-frame").first
    assert "Elements: all its elements are in" in first.get_attribute("title")
    assert any(step.material is not None and not step.material.lattice.is_orthogonal for step in steps)
    shoot(page, "journeys_spread")
