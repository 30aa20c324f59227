"""Eight crystals validated in a real browser, without a network, through a server that is killed in the middle."""

import io
import re
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from matgen_core.data.structure_export import cif
from matgen_core.jobs.store import Store
from tests.support.browsing import settle
from tests.support.crystals import rock_salt
from tests.support.serving import ROOT, server_of
from tests.support.waiting import until

pytestmark = pytest.mark.browser

SALTS = {"LiF": 4.0, "NaF": 4.6, "MgO": 4.2, "CaO": 4.8, "KCl": 6.3, "SrO": 5.1, "NaCl": 5.6, "LiCl": 5.1}  # edges in Å
LIMIT = 180_000  # ms, as a guard


def archive() -> bytes:
    """Eight distorted crystals of two atoms."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for n, (formula, edge) in enumerate(SALTS.items()):
            crystal = rock_salt(*re.findall("[A-Z][a-z]?", formula), edge).get_primitive_structure()
            crystal.apply_strain([0.05, -0.03, 0.02])
            crystal.translate_sites([1], [0.04, 0.02, -0.03])
            made.writestr(f"{n}.cif", cif(crystal))
    return packed.getvalue()


def results(folder: Path) -> dict[str, float]:
    """When each result was kept."""
    base = sqlite3.connect(folder / "work.sqlite", timeout=30)
    try:
        return dict(base.execute("SELECT key, made FROM result").fetchall())
    finally:
        base.close()


@pytest.mark.usefixtures("viewer_library")
def test_eight_crystals_survive_a_killed_server(
    browser_page: Any, tmp_path: Path, shoot: Callable[[Any, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    page, work_folder = browser_page, tmp_path / "work"
    environment = {"MATGEN_WORK": str(work_folder)}
    expect.set_options(timeout=LIMIT)
    page.set_default_timeout(LIMIT)
    with server_of(ROOT / "app.py", **environment) as (address, server):
        page.goto(f"{address}/validate")
        settle(page, "Validate")
        shoot(page, "validate_empty")
        expect(page.get_by_role("button", name="Try with 8 crystals")).to_be_visible()
        page.locator("input[type=file]").set_input_files(
            {"name": "eight.zip", "mimeType": "application/zip", "buffer": archive()}
        )
        page.get_by_role("button", name="Relax and judge 8 crystals").click()
        page.get_by_text("8 crystals judged with 7net-0").wait_for()
        assert until(lambda: len(results(work_folder)) >= 2, LIMIT / 1000)
        page.goto("about:blank")  # nobody is told, and no console complains
        server.kill()
        server.wait()
    before = results(work_folder)
    assert 2 <= len(before) < 8, "the server was killed in the middle"
    monkeypatch.setenv("MATGEN_WORK", str(work_folder))
    assert [each.progress for each in Store().works()] == ["interrupted"]

    with server_of(ROOT / "app.py", **environment) as (address, _):
        page.goto(f"{address}/validate")
        settle(page, "Validate")
        expect(page.get_by_text(f"{len(before)} of 8 judged with 7net-0")).to_be_visible()
        expect(page.get_by_text(re.compile("interrupted$"))).to_be_visible()
        shoot(page, "validate_interrupted")
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("You may leave this page").wait_for()
        page.get_by_role("link", name="Trust").click()
        settle(page, "Trust")
        page.get_by_role("link", name="Validate").click()
        page.get_by_role("heading", name="Beside the generators here").wait_for()
        settle(page, "Validate")
        after = results(work_folder)
        assert len(after) == 8
        assert {key: after[key] for key in before} == before, "no finished row is computed twice"
        expect(page.locator("[class*=st-key-closer_] button")).to_have_count(8)
        page.reload()
        page.get_by_role("heading", name="Beside the generators here").wait_for()
        page.locator("[class*=st-key-closer_7] button").click()
        expect(page).to_have_url(re.compile("crystal=8"))
        page.locator("h3", has_text="7.cif").wait_for()
        settle(page, "Validate")  # the film of this crystal is there
        film = page.get_by_role("group", name="Film")
        slider = film.get_by_role("slider", name="Step of the relaxation")
        last = slider.get_attribute("max")
        assert int(str(last)) >= 2
        expect(slider).to_have_value(str(last))
        slider.press("Home")
        assert str(slider.get_attribute("aria-valuetext")).startswith("step 0, ")
        film.get_by_role("button", name="Play").click()
        expect(slider).to_have_value(str(last))
        expect(film.get_by_role("button", name="Play")).to_be_visible()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save all as zip").click()
        with zipfile.ZipFile(saved.value.path()) as made:
            assert sum(name.startswith("after/") for name in made.namelist()) == 8
        shoot(page, "validate")
        stranger = page.context.browser.new_context().new_page()
        stranger.goto(page.url)
        stranger.get_by_text("somebody else").wait_for()
        assert stranger.get_by_role("button", name="Open", exact=True).count() == 0
        stranger.context.close()
