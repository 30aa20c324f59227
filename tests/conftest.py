"""What the tests share: a running app on a free port of this machine, and a browser that can reach nothing else."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from streamlit.components.v2 import manifest_scanner

# Workers that each compute on every core wait for one another. What is imported below notes the number of threads.
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # for the commands that tests start

from matgen_core import checkpoint
from matgen_core.latent.building import with_points
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.formulas import Formulas, KnownFormulas
from matgen_core.materials.systems import chemical_system
from matgen_core.networks.models.formula_lm import FormulaLM, FormulaLMConfig
from matgen_core.networks.models.voxels.icsg3d import ICSG3D, ICSG3DConfig
from matgen_core.representations import ElementCounts, VoxelGrid
from matgen_core.representations.voxels.voxel_grid import element_codes
from tests.support.commands import matgen
from tests.support.serving import CHROMIUM, QUIET, ROOT, SOFTWARE_GL, served
from tests.support.writers import untrained

SCREENSHOTS = Path(__file__).parent / "screenshots"
_HARMLESS = (
    "GPU stall due to ReadPixels",  # Chromium's own, of software WebGL
    "/media/",  # a buffer asked for between two runs of a page; the map asks again
    "/_stcore/",  # Streamlit's own, as it looks for its server below the path of a page
)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in one line what was skipped and why, and leave it for the end of `make test`, which runs in parts."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    )
    line = "; ".join(f"{n} skipped: {' '.join(reason.split())}" for reason, n in sorted(reasons.items()))
    if line:
        terminalreporter.write_line(line)
    if place := os.environ.get("SKIPPED"):
        Path(place).write_text(line and f"{line}. ")


@pytest.fixture(scope="session", autouse=True)
def long_work_is_kept_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests compute is none of what the person at this machine has kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATGEN_WORK", str(tmp_path_factory.mktemp("work")))
        yield


@pytest.fixture(scope="session", autouse=True)
def components_are_looked_for_once() -> Iterator[None]:
    """Streamlit reads the metadata of every installed package for each page that a test opens; they do not change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session")
def streamlit_app() -> Iterator[Callable[[str], str]]:
    """Start a script of this project under Streamlit, once a session, and return its address."""
    addresses: dict[str, str] = {}
    with ExitStack() as running:

        def start(script: str = "app.py") -> str:
            if script not in addresses:
                addresses[script] = running.enter_context(served(ROOT / script))
            return addresses[script]

        yield start


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """The one driver of browsers; without Chromium the browser tests are skipped, in CI they fail."""
    if not CHROMIUM.exists():
        line = f"{CHROMIUM} is missing, so no browser test runs; on Debian: apt-get install chromium"
        pytest.fail(line) if os.environ.get("CI") else pytest.skip(line)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def viewer_library(playwright: Any) -> None:
    """3Dmol.js, which npm brings; without it the tests that look at crystals are skipped, in CI they fail."""
    from matgen_core.views.crystals import web_page

    if line := web_page.viewer_problem():
        pytest.fail(line) if os.environ.get("CI") else pytest.skip(line)


@pytest.fixture(scope="session")
def browser(playwright: Any) -> Iterator[Any]:
    """A headless Chromium."""
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *SOFTWARE_GL])
    yield chromium
    chromium.close()


@pytest.fixture
def browser_page(browser: Any) -> Iterator[Any]:
    """A page that may talk to this machine only and may not fail: any other request or error fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    refused: list[str] = []
    problems: list[str] = []

    def guard(route: Any) -> None:
        if route.request.url.startswith(("http://127.0.0.1:", "http://localhost:", "data:", "blob:")):
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    def on_console(message: Any) -> None:
        text = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and not any(harmless in text for harmless in _HARMLESS):
            problems.append(text)

    context.route("**/*", guard)
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", on_console)
    yield page
    context.close()
    assert not refused, f"the app asked for {refused}"
    assert not problems, "\n".join(problems)


@pytest.fixture
def shoot() -> Callable[[Any, str], None]:
    """Keep a picture of a page in both themes, to be looked at: tests/screenshots/NAME_light.png and NAME_dark.png."""

    def keep(page: Any, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(500)  # charts are drawn anew
            page.screenshot(path=SCREENSHOTS / f"{name}_{scheme}.png")

    return keep


@pytest.fixture
def crystal_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> checkpoint.Checkpoint:
    """The only checkpoint there is: a tiny untrained network with an index of 60 crystals, as recipes write it."""
    torch.manual_seed(0)
    elements = ("Li", "Na", "K", "F", "Cl", "Br")
    config = ICSG3DConfig(
        grid=8, width=0.1, latent_dim=4, condition_edges=(-2.0,), channels=(8, 16), n_narrow=4, refiner=(8, 16)
    )
    layout = VoxelGrid(
        elements=elements,
        codes=element_codes(elements),
        heights=np.ones(6, np.float32),
        grid=(8, 8, 8),
        width=config.width,
        max_sites=8,
        setting="cubic",
    )
    rng = np.random.default_rng(0)
    formulas = [f"{cation}{anion}" for cation in elements[:3] for anion in elements[3:]] * 7
    places = {f"{method}_{axis}": rng.normal(size=60) for method in ("umap", "pca") for axis in "xy"}
    index = pd.DataFrame(
        {
            "id": [f"mp-{i}" for i in range(60)],
            "formula": formulas[:60],
            "chemical_system": [chemical_system(formula) for formula in formulas[:60]],
            "family": "binary",
            "formation_energy_per_atom": np.linspace(-3, 0, 60, dtype=np.float32),
            "split": ["train", "train", "val"] * 20,
            "error": np.float32([0, 1] * 30),
            "error_kind": "no_match",
            "space_group_number": np.int16([225, 221, 216] * 20),
            "band_gap": np.float32([np.nan, 5.0] * 30),
            "z": list(rng.normal(size=(60, 4)).astype(np.float16)),
            **places,
            "umap_faithfulness": 0.25,
            "pca_faithfulness": 0.75,
        }
    )
    made = checkpoint.Checkpoint(
        name="crystals",
        model_name="icsg3d",
        model=ICSG3D(config).eval(),
        representation=layout,
        metrics={"headline": {"figure": "", "ours": "", "paper": ""}},
        card="",
        provenance={"title": "", "system": "", "level": "structure", "datasets": {"salts/train": ""}},
        index=index,
    )
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "made"))
    checkpoint.save(made, tmp_path / "made" / "crystals")
    return made


@pytest.fixture
def formula_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> checkpoint.Checkpoint:
    """The only checkpoint there is: a tiny untrained language model; 60 known formulas beside 60 of its bank of 300."""
    torch.manual_seed(0)
    layout = ElementCounts(("K", "Na", "Li", "Fe", "S", "Cl", "O", "F"), max_count=3)
    config = FormulaLMConfig(
        n_elements=8, n_counts=3, n_slots=4, hidden=16, dropout=0.0, critic=12, n_features=5, penalty=7.0
    )
    model = FormulaLM(config).eval()
    made = checkpoint.Checkpoint(
        name="formulas",
        model_name="formula_lm",
        model=model,
        representation=layout,
        metrics={"headline": {"figure": "", "ours": "", "paper": ""}, "bank": {"seed": 11, "n_samples": 300}},
        card="",
        provenance={"title": "", "system": "", "level": "composition", "datasets": {}},
    )
    space = LatentSpace.of(made)
    rows = np.random.default_rng(1).permutation(300)[:60]
    z = np.concatenate([space.sample(60, seed=5), space.sample(300, seed=11)[rows]])
    with torch.inference_mode():
        tables = model.decode(torch.from_numpy(z))
        features = model.features(tables).numpy()
    formulas = layout.formulas(tables.numpy())
    rng = np.random.default_rng(2)
    names = formulas.texts()
    index = pd.DataFrame(
        {
            "id": [*(f"known-{i}" for i in range(60)), *(f"made-{row}" for row in rows)],
            "formula": names,
            "chemical_system": [chemical_system(name) for name in names],
            "split": ["train"] * 40 + ["held_out"] * 20 + ["generated"] * 60,
            "n_elements": formulas.n_elements,
            "charge_neutral": pd.array([True, False, None] * 40, dtype="boolean"),
            "seed_row": np.int32([-1] * 60 + rows.tolist()),
            **{f"{method}_{axis}": rng.normal(size=120) for method in ("umap", "pca") for axis in "xy"},
            "umap_faithfulness": 0.25,
            "pca_faithfulness": 0.75,
        }
    )
    known = KnownFormulas.of(Formulas.of_texts(names[:40])[0])
    made = replace(made, index=with_points(index, features), known=known)
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "made"))
    checkpoint.save(made, tmp_path / "made" / "formulas")
    return made


@pytest.fixture
def fresh_caches() -> Iterator[None]:
    """What pages keep for all visitors is forgotten after the test: none sees the checkpoints of another."""
    yield
    import streamlit as st

    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call the command line: exit status, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = matgen(*map(str, arguments), monkeypatch=monkeypatch)
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


@pytest.fixture(scope="module")
def writer() -> checkpoint.Checkpoint:
    """A generator that has learned nothing: it writes many formulas, and sometimes none."""
    return untrained()
