"""Crystals of every generator in a real browser, offline: small pictures, lights, files, and on to Validate."""

import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from matgen_core import checkpoint
from matgen_core.materials.levels import CRYSTAL
from tests.support.browsing import settle

pytestmark = pytest.mark.browser

LIMIT = 90_000  # ms, as a guard
CARDS = "[class*=st-key-vcard_]"


def able_to(capability: str) -> list[str]:
    """Every checkpoint here that does something with crystals."""
    good, _ = checkpoint.summaries()
    return [each["name"] for each in good if capability in each["capabilities"] and each["level"] == CRYSTAL.key]


def arrived(page: Any, n: int) -> None:
    """Wait until all samples are there; each has a card, and each crystal a picture and lights."""
    page.get_by_text(f"All {n} as a table").wait_for()
    settle(page, "Crystals")
    expect(page.locator(CARDS)).to_have_count(min(n, 10))
    failed = page.locator(CARDS).filter(has_text="no crystal").count()
    expect(page.locator(f"{CARDS} img")).to_have_count(min(n, 10) - failed)
    for card in page.locator(CARDS).all():
        text = card.inner_text()
        assert "no crystal" in text or any(mark in text for mark in "✓✕?"), text


@pytest.mark.usefixtures("viewer_library")
def test_generators_make_crystals_that_go_on_to_validate(
    browser_page: Any, streamlit_app: Callable[[str], str], shoot: Callable[[Any, str], None]
) -> None:
    page, address = browser_page, streamlit_app("app.py")
    expect.set_options(timeout=LIMIT)
    page.set_default_timeout(LIMIT)
    for name in able_to("decode"):
        page.goto(f"{address}/crystals?crystals={name},n=2,seed=1")
        arrived(page, 2)
    for name in able_to("translate"):
        page.goto(f"{address}/crystals?translated={name},n=4,seed=1,first=ideal-PdH,second=ideal-NiH")
        page.get_by_text("All 4 as a table").wait_for()
        settle(page, "Crystals")
        expect(page.locator("[class*=st-key-closer_] button")).to_have_count(4)
        expect(page.get_by_text("the second, as given")).to_be_visible()
        assert page.locator(f"{CARDS} img").count() >= 4, "the way has its pictures"
        shoot(page, "crystals_translate")
    page.goto(f"{address}/crystals?crystal_model=voxel_vae")
    settle(page, "Crystals")
    page.get_by_label("Samples").fill("12")
    page.get_by_label("Samples").press("Enter")
    page.get_by_role("button", name="Generate").click()
    page.wait_for_url(re.compile("voxel_vae%2Cn%3D12%2Cseed%3D0"))
    arrived(page, 12)
    page.locator("[class*=st-key-closer_2] button").click()
    page.wait_for_url(re.compile("sample=3"))
    page.locator("h3", has_text="sample-00003").wait_for()
    page.locator(".crystal-viewer .gl canvas").wait_for()
    expect(page.get_by_text("g/cm³")).to_be_visible()
    shoot(page, "crystals")
    formulas = page.locator("[class*=st-key-closer_] button").all_inner_texts()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save all as zip").click()
    with zipfile.ZipFile(saved.value.path()) as made:
        assert {"table.csv", "README.txt"} <= set(made.namelist())
    page.reload()
    arrived(page, 12)
    assert page.locator("[class*=st-key-closer_] button").all_inner_texts() == formulas, "the link opens the same"
    sent = page.get_by_role("button", name="Validate all")
    n = int(re.sub(r"\D", "", sent.inner_text()))
    sent.click()
    settle(page, "Validate")
    expect(page.get_by_text(f"{n} crystals of Crystals: voxel_vae, 12 samples, seed 0 are ready")).to_be_visible()
