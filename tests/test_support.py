"""The tests themselves: they use what is public, and what several need stands in tests/support or conftest.py."""

import ast
import textwrap
from pathlib import Path

from tests.support.rows import each_row

TESTS = Path(__file__).parent
OURS = ("matgen_core", "pages", "tests")
PARTS = "_parts"  # named so that Streamlit takes no file in it for a page; what it holds is public


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name != PARTS


def faults(source: str) -> list[str]:
    """Imports of test files and reaches into private names in a file, also in the programs that stand in it as text."""
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    foreign = {alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names if not ours(node)}
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Import() | ast.ImportFrom() if ours(node):
                dotted = [f"{getattr(node, 'module', '')}.{alias.name}".lstrip(".") for alias in node.names]
                found += [name for name in dotted if is_closed(name)]
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in {"self", "cls"} | foreign:
                pass
            case ast.Attribute(attr=name) if is_private(name):
                found.append(ast.unparse(node))
            case ast.Call(args=[*_, ast.Constant(value=str(name)), _] | [_, ast.Constant(value=str(name))]) if any(
                map(is_private, name.split("."))
            ) and called(node) in ("setattr", "getattr", "delattr"):
                found.append(ast.unparse(node))
            case ast.Constant(value=str(text)) if "\n" in text and "import " in text:
                found += faults_of_text(text)
    return found


def ours(node: ast.Import | ast.ImportFrom) -> bool:
    names = [node.module or "."] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return any(name.split(".")[0] in (*OURS, "") for name in names)


def is_closed(name: str) -> bool:
    """Whether a module or a name in it is private, or a test file."""
    parts = name.split(".")
    return any(map(is_private, parts)) or (parts[0] == "tests" and parts[1:2] != ["support"])


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def faults_of_text(text: str) -> list[str]:
    try:
        return faults(textwrap.dedent(text))
    except SyntaxError:  # words, or another language
        return []


def test_no_test_imports_a_test_or_reaches_into_what_is_private() -> None:
    paths = sorted(set(TESTS.rglob("*.py")) - {Path(__file__)})  # the faults below are faults on purpose
    found = {str(path.relative_to(TESTS)): faults(path.read_text()) for path in paths}
    assert {path: names for path, names in found.items() if names} == {}


@each_row(
    ("source", "n_faults"),
    [
        ("from tests.pages.test_app import PAGES", 1),
        ("import tests.conftest", 1),
        ("from matgen_core.checks import _charges", 1),
        ("from matgen_core.checks._charges import search", 1),
        ("from matgen_core import checks\nchecks._search()", 1),
        ("def test(worker): worker._process.kill()", 1),
        ("def test(monkeypatch, checks): monkeypatch.setattr(checks, '_CHUNK', 2)", 1),
        ("def test(monkeypatch): monkeypatch.setattr('matgen_core.checks._CHUNK', 2)", 1),
        ("def test(space): assert getattr(space, '_weights') is None", 1),
        ("APP = '''\nimport time\nprint(worker._process)\n'''", 1),
        ("from tests.support.serving import ROOT\nfrom pages._parts.shared import widgets", 0),
        ("import sys\nsys._getframe(1)", 0),
        ("class Visit:\n    def __init__(self): self._seen = self.__class__.__name__", 0),
    ],
)
def test_the_rule_sees_what_it_forbids_and_nothing_else(source: str, n_faults: int) -> None:
    assert len(faults(source)) == n_faults
