"""What people wait for: no command, list or page imports what it does not need, and work takes one thread."""

import os
import subprocess
import sys

import pytest

from matgen_core import checkpoint
from matgen_core.checkpoint.folder import verbs_of
from matgen_core.networks.models import MODELS
from pages._parts.shared import server
from tests.support.broken import without_hashes
from tests.support.rows import each_row
from tests.support.serving import ROOT

SLOW = ("torch", "pandas", "scipy", "sklearn", "pymatgen", "numba", "plotly", "ase", "requests")
PARTS_OF_PYMATGEN = ("pymatgen.analysis.local_env", "pymatgen.analysis.diffraction.xrd", "pymatgen.io.vasp.inputs")
PAGES = f"import importlib\nfor each in {server.modules_of_pages()!r}: importlib.import_module(each)"
HOME = """
import pages._parts.shared.server as server
from streamlit.testing.v1 import AppTest
server.get_ready = lambda: None  # what is imported behind the page
assert AppTest.from_file("app.py", default_timeout=60).run().subheader
"""
IMPORTED = "\nimport sys\nprint(*(name for name in sys.argv[1:] if name in sys.modules))"


def imported(code: str, *modules: str, **environment: str) -> list[str]:
    """Which of some modules are there after some code has run in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", code + IMPORTED, *modules],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if "_NUM_THREADS" not in key} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("import matgen_core.cli", SLOW),
        ("from matgen_core import checkpoint; assert checkpoint.summaries()[0]", SLOW),
        (HOME, ("torch", "pandas", "scipy", "sklearn", "numba", "matplotlib")),
        (
            PAGES,
            ("scipy.stats", "umap", "sklearn", "numba", "sevenn", "matgen_core.networks.learning", *PARTS_OF_PYMATGEN),
        ),
    ],
    ids=["command", "list", "Home", "all pages"],
)
def test_nothing_is_imported_that_is_not_needed(code: str, modules: tuple[str, ...]) -> None:
    assert imported(code, *modules) == []


@each_row("name", checkpoint.names())
def test_what_a_checkpoint_says_that_it_can_do_is_what_its_model_can(name: str) -> None:
    config, _ = checkpoint.documents(name)
    assert config["capabilities"] == verbs_of(MODELS[config["model"]])
    assert checkpoint.summary(name)["capabilities"] == config["capabilities"]


def test_a_checkpoint_that_does_not_say_what_it_can_do_is_asked(tmp_path, monkeypatch) -> None:
    (tmp_path / "phase_field_norm").mkdir()
    for file in (checkpoint.root() / "phase_field_norm").iterdir():
        (tmp_path / "phase_field_norm" / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path))
    without_hashes(tmp_path / "phase_field_norm", capabilities=[])
    assert checkpoint.summary("phase_field_norm")["capabilities"] == ["score"]


COMMAND = """
import sys
left, sys.argv = sys.argv, ["matgen", "--help"]
from matgen_core.cli import main
try:
    main()
except SystemExit:
    sys.argv = left
"""
APP = "from streamlit.testing.v1 import AppTest\nAppTest.from_file('app.py', default_timeout=60).run()"


@pytest.mark.parametrize("start", [COMMAND, APP], ids=["command", "app"])
def test_an_operation_takes_one_thread(start: str) -> None:
    assert imported(f"{start}\nimport torch\nassert torch.get_num_threads() == 1", "torch") == ["torch"]


def test_an_operation_takes_more_threads_where_the_user_wants_them() -> None:
    code = f"{COMMAND}\nimport os\nassert os.environ['OMP_NUM_THREADS'] == '3'"
    assert imported(code, OMP_NUM_THREADS="3") == []


def test_what_is_imported_behind_the_first_page_is_what_pages_import() -> None:
    modules = server.modules_of_pages()
    assert {"matgen_core.tasks.placement", "matgen_core.views.charts", "matgen_core.latent.map"} <= set(modules)
    assert len(modules) == len(set(modules))
