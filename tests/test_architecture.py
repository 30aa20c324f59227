"""The layers: who may import whom, and that every list of models is in step."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from matgen_core import checkpoint
from matgen_core.networks.models import MODELS
from matgen_core.recipes import RECIPES
from matgen_core.representations import REPRESENTATIONS

ROOT = Path(__file__).parent.parent
CORE = ROOT / "matgen_core"

# A layer may import those of lower numbers, and its own package.
LAYERS = {
    "recipes": 8,
    "views": 7,
    "tasks": 6,
    "latent": 5,
    "checks": 4,
    "networks": -1,
    "materials": -2,
    "jobs": -2,
    "representations": 0,
    "data": 1,
    "checkpoint": 2,
    "cli": 9,
}
FORBIDDEN = {
    "representations": {"streamlit"},
    "models": {"pymatgen", "pandas", "streamlit"},
    "pages": {"numpy", "torch", "pymatgen", "scipy", "sklearn"},
}
PAGES_MAY = {
    "jobs",
    "views",
    "tasks",
    "checks",
    "materials",
    "checkpoint",
    "data",
    "latent",
    "representations",
}
SLOW = {"umap", "chgnet", "matminer", "openTSNE", "sklearn", "matplotlib"}  # seconds to import: inside functions


def imported(path: Path, top_level_only: bool = False) -> set[str]:
    """Dotted names that a file imports."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer_of(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


CORE_FILES = sorted(path for path in CORE.rglob("*.py") if path != CORE / "__init__.py")
PAGE_FILES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_imports_point_down(path: Path) -> None:
    layer = layer_of(path)
    assert layer in LAYERS, f"{path.name} is in no layer; add it to LAYERS and to docs/architecture.md"
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "matgen_core" and len(parts) > 1 and parts[1] in LAYERS and parts[1] != layer:
            assert LAYERS[parts[1]] < LAYERS[layer], f"{path.name} imports {name}, which is not below it"
        assert parts[0] not in FORBIDDEN.get(layer, set()), f"{path.name} imports {name}"
        assert parts[0] not in {"streamlit", "pickle", "joblib"}, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", [*CORE_FILES, *PAGE_FILES], ids=lambda path: str(path.relative_to(ROOT)))
def test_slow_packages_are_imported_where_they_are_used(path: Path) -> None:
    top = {name.split(".")[0] for name in imported(path, top_level_only=True)}
    assert not top & SLOW, f"{path.name} imports {top & SLOW} at the top"


def test_a_page_of_formulas_does_not_wait_for_what_crystals_need() -> None:
    opened = f"""
import sys
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({str(ROOT / "pages" / "compositions.py")!r}, default_timeout=60).run()
assert page.title and not page.exception
print(*sorted(set(sys.modules) & {{"scipy", "sklearn", "numba", "umap", "pymatgen.analysis.local_env", "plotly"}}))
"""
    done = subprocess.run([sys.executable, "-c", opened], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["plotly"]


@pytest.mark.parametrize("path", PAGE_FILES, ids=lambda path: path.name)
def test_pages_hold_no_logic(path: Path) -> None:
    for name in imported(path):
        parts = name.split(".")
        assert parts[0] not in FORBIDDEN["pages"], f"{path.name} imports {name}"
        if parts[0] == "matgen_core" and len(parts) > 1:
            assert parts[1] in PAGES_MAY, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", PAGE_FILES, ids=lambda path: path.name)
def test_caches_live_in_the_shared_parts_of_the_pages(path: Path) -> None:
    parts = path.relative_to(ROOT).parts
    if not any(part.startswith("_") and not part.startswith("__") for part in parts):
        assert "st.cache" not in path.read_text(), f"{path.name} has a cache; keep it in pages/_parts"


def test_every_recipe_has_its_checkpoint_and_every_checkpoint_its_recipe() -> None:
    assert checkpoint.names() == sorted(RECIPES)
    for name, recipe in RECIPES.items():
        assert recipe.name == name


def test_every_model_and_representation_is_used_by_a_checkpoint() -> None:
    loaded = [checkpoint.load(name) for name in checkpoint.names()]
    assert {item.model_name for item in loaded} == set(MODELS)
    assert {type(item.representation) for item in loaded} == set(REPRESENTATIONS.values())


def test_every_layer_is_described() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for layer in LAYERS:
        assert f"`{layer}`" in text, f"docs/architecture.md does not describe {layer}"


def test_every_dependency_earns_its_place() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text().splitlines():
            if line and not line.startswith("#"):
                name, pinned, _ = line.partition("==")
                assert pinned, f"{file}: {line} is not pinned"
                assert f"`{name}`" in text, f"docs/architecture.md does not say what {name} is for"


def test_every_checkpoint_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for name in checkpoint.names():
        assert f"`{name}`" in text, f"README.md does not name {name}"


def test_checkpoints_are_light() -> None:
    sizes = {path: path.stat().st_size for path in checkpoint.root().rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 40e6
