"""What is done once a server: with its first visitor, and behind the first page."""

import ast
from importlib import import_module
from pathlib import Path
from threading import Thread

import streamlit as st

from matgen_core.jobs import guard
from matgen_core.jobs.processes import compute_on_one_thread

_PAGES = Path(__file__).parents[2]
# What the core imports only where it is needed, since each takes a second.
_NEEDED_LATER = (
    "pymatgen.analysis.local_env",
    "pymatgen.analysis.diffraction.xrd",
    "pymatgen.io.vasp",
    "scipy.stats",
)


@st.cache_resource(show_spinner=False)
def prepare() -> None:
    """See that work takes one thread and that the server ends soon when it is asked to."""
    compute_on_one_thread()
    guard.end_within_seconds()


@st.cache_resource(show_spinner=False)
def get_ready() -> None:
    """Import what other pages need and start the first process for files, while the first visitor reads."""
    Thread(target=_get_ready, name="get ready", daemon=True).start()


def _get_ready() -> None:
    for module in (*modules_of_pages(), *_NEEDED_LATER):
        import_module(module)
    from matgen_core.views.crystals import uploaded

    uploaded.warm()


def modules_of_pages() -> list[str]:
    """Return the modules of the core that some page imports, at its top or later; those of most pages first."""
    counts: dict[str, int] = {}
    for file in sorted(_PAGES.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("matgen_core"):
                for name in {node.module, *(f"{node.module}.{each.name}" for each in node.names)}:
                    counts[name] = counts.get(name, 0) + 1
    core = _PAGES.parent
    modules = [name for name in counts if _is_module(core / name.replace(".", "/"))]
    return sorted(modules, key=lambda name: -counts[name])


def _is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
