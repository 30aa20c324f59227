"""What of a component the browser is given: one file, or the modules where nothing joined them or one has changed."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pages._parts.components.registration import entry
from tests.support.serving import ROOT, served

ESBUILD = next(iter(ROOT.glob("node_modules/@esbuild/*/bin/esbuild")), None)
MAP = Path("pages", "_parts", "components", "latent_map", "browser")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of two modules, made after them."""
    (tmp_path / "parts").mkdir()
    for name, second in (("index.js", 100), ("parts/one.js", 200), ("bundle.js", 300)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (second, second))
    return tmp_path


def test_a_bundle_newer_than_its_modules_is_served(folder: Path) -> None:
    assert entry(folder) == "bundle.js"


@pytest.mark.parametrize("changed", ["index.js", "parts/one.js"])
def test_a_bundle_older_than_a_module_is_not(folder: Path, changed: str) -> None:
    os.utime(folder / changed, (400, 400))
    assert entry(folder) == "index.js"


def test_without_a_bundle_the_modules_are(folder: Path) -> None:
    (folder / "bundle.js").unlink()
    assert entry(folder) == "index.js"


@pytest.fixture
def pages_without_bundles(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "pages", tmp_path / "pages", ignore=shutil.ignore_patterns("bundle.js", "__pycache__"))
    return tmp_path


def scripts_of_a_map(page: Any, folder: Path) -> list[str]:
    """Open a map of the pages in a folder and return which scripts of the map the browser asked for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "latent_map/" in request.url else None)
    app = ROOT / "tests" / "support" / "apps" / "latent_map_app.py"
    with served(app, folder) as address:  # Python looks there for the pages first
        page.goto(f"{address}/?n=2000")
        page.locator(".lm[data-state=ready]").wait_for()
        page.goto("about:blank")
    return sorted(url.partition("latent_map/")[2] for url in asked)


@pytest.mark.browser
def test_without_npm_the_browser_joins_the_modules(browser_page: Any, pages_without_bundles: Path) -> None:
    folder = pages_without_bundles / MAP
    modules = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.js"))
    assert scripts_of_a_map(browser_page, pages_without_bundles) == modules


@pytest.mark.browser
@pytest.mark.skipif(ESBUILD is None, reason="needs esbuild; run: make install")
def test_with_it_one_file_is_fetched(browser_page: Any, pages_without_bundles: Path) -> None:
    folder = pages_without_bundles / MAP
    subprocess.run(
        [ESBUILD, "--bundle", "--format=esm", f"--outfile={folder / 'bundle.js'}", folder / "index.js"], check=True
    )
    assert scripts_of_a_map(browser_page, pages_without_bundles) == ["bundle.js"]
