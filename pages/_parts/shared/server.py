"""What is done once a server: with its first visitor, and behind the first page."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Event, Lock, Thread, main_thread

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
_IMPORTING, _READY = Lock(), Event()


@st.cache_resource(show_spinner=False)
def prepare() -> None:
    """See that work takes one thread and that the server ends soon when it is asked to."""
    compute_on_one_thread()
    guard.end_within_seconds()


@contextmanager
def nobody_else_imports() -> Iterator[None]:
    """Hold off the others as long as not all is imported.

    Two threads that import packages with circles in them may each wait for what the other has begun; Python ends one of
    them with an error then. So while a server is cold, pages and the imports behind them take turns.
    """
    if _READY.is_set():
        yield
        return
    with _IMPORTING:
        yield


@st.cache_resource(show_spinner=False)
def get_ready() -> None:
    """Import what other pages need and start the first process for files, while the first visitor reads."""
    Thread(target=_get_ready, name="get ready").start()


def _get_ready() -> None:
    for module in (*modules_of_pages(), *_NEEDED_LATER):
        if not main_thread().is_alive():  # the server ends; an import that is cut off would abort it
            return
        with _IMPORTING:
            import_module(module)
    _READY.set()
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
