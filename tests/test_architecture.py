"""How the house stands: who may import whom, what is said where, and that every list of models is in step."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from matgen_core import checkpoint
from matgen_core.networks.models import MODELS
from matgen_core.recipes import RECIPES, Recipe
from matgen_core.representations import REPRESENTATIONS
from tests.support.serving import ROOT
from tests.support.tiny import TINY

CORE = ROOT / "matgen_core"
CORE_FILES = sorted(CORE.rglob("*.py"))
PAGE_FILES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]
# From the ground up: a station imports those before it and itself.
STATIONS = (
    "jobs",
    "materials",
    "networks",
    "data",
    "representations",
    "checkpoint",
    "checks",
    "latent",
    "tasks",
    "views",
    "recipes",
    "cli",
)
FLOORS = ("arrays", "models", "potentials", "learning")  # of networks, likewise
SYSTEMS = {path.parent.name for path in CORE.glob("recipes/*/recipe.py")} | set(MODELS)
SLOW = {
    "umap",
    "chgnet",
    "sevenn",
    "torch_geometric",
    "e3nn",
    "matminer",
    "openTSNE",
    "sklearn",
    "matplotlib",
}  # seconds to import: inside functions
MOST_ENTRIES, MOST_AT_THE_TOP, MOST_LINES = 12, 14, 500


@cache
def modules() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    found = {}
    for path in [*CORE_FILES, *PAGE_FILES]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imported(path: Path, top_level_only: bool = False) -> frozenset[str]:
    """Modules that a file imports; of the project the very module, not a name in it."""
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in modules() else str(node.module) for name in whole}
    return frozenset(names)


def of_core(path: Path) -> Iterator[tuple[str, ...]]:
    """What a file imports of the core, as the parts behind `matgen_core`."""
    for name in imported(path):
        parts = tuple(name.split("."))
        if parts[0] == "matgen_core" and len(parts) > 1:
            yield parts[1:]


def shown(paths: list[Path], pattern: str) -> list[str]:
    """Lines of files that match a pattern, comments and docstrings aside."""
    found = []
    for path in paths:
        tree = ast.parse(path.read_text())
        quoted = {
            line
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if number not in quoted and re.search(pattern, line.split("  # ")[0]):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return found


def test_the_core_has_its_stations_and_no_loose_module() -> None:
    entries = {path.name for path in CORE.iterdir() if path.name != "__pycache__"}
    assert {path.stem for path in CORE.glob("*.py")} == {"__init__"}
    assert entries - {"__init__.py", "tables"} == set(STATIONS)
    assert len(entries) <= MOST_AT_THE_TOP


def test_imports_point_down() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {'.'.join(parts)}"
        for path in CORE_FILES
        for parts in of_core(path)
        if path.parent != CORE
        if STATIONS.index(parts[0]) > STATIONS.index(path.relative_to(CORE).parts[0])
    ]
    assert not wrong


def test_inside_networks_imports_point_down() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {'.'.join(parts)}"
        for path in CORE_FILES
        if path.parts[-3:-1] and path.is_relative_to(CORE / "networks") and path.parent != CORE / "networks"
        for parts in of_core(path)
        if parts != ("jobs", "files", "outputs")  # the one way out, which needs nothing that torch does not bring
        if parts[0] != "networks" or FLOORS.index(parts[1]) > FLOORS.index(path.relative_to(CORE / "networks").parts[0])
    ]
    assert not wrong


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {name: imported(path) & set(modules()) - {name} for name, path in modules().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_a_recipe_imports_no_other_systems_folder() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {'.'.join(parts)}"
        for path in CORE_FILES
        if path.is_relative_to(CORE / "recipes") and path.parent != CORE / "recipes"
        for parts in of_core(path)
        if parts[0] == "recipes" and parts[1:2] not in ((), ("shared",), (path.parent.name,))
    ]
    assert not wrong


def test_folders_and_files_stay_small() -> None:
    """Folders of one entry a system grow with the systems; everything else in them counts."""
    wrong = []
    scripts = sorted((ROOT / "pages").rglob("*.js"))
    for folder in {path.parent for path in [*CORE_FILES, *PAGE_FILES[1:], *scripts]} - {CORE}:
        entries = {path.stem for path in folder.iterdir() if path.stem not in ("__init__", "__pycache__", "bundle")}
        if folder.name in ("recipes", "models", "learning"):
            entries -= SYSTEMS
        if len(entries) > MOST_ENTRIES:
            wrong.append(f"{folder.relative_to(ROOT)} has {len(entries)} entries")
    for path in [*CORE_FILES, *PAGE_FILES, *(ROOT / "tests").rglob("*.py"), *scripts]:
        if path.stem == "bundle":
            continue
        lines = len(path.read_text().splitlines())
        if lines > MOST_LINES:
            wrong.append(f"{path.relative_to(ROOT)} has {lines} lines")
    assert not wrong


def test_levels_are_named_in_one_place() -> None:
    files = [path for path in [*CORE_FILES, *PAGE_FILES] if path != CORE / "materials" / "levels.py"]
    assert not shown(files, r"""level.*["'](composition|structure)["']|["']phase field["']""")


def test_units_stand_in_one_place() -> None:
    files = [path for path in [*CORE_FILES, *PAGE_FILES] if path != CORE / "materials" / "properties.py"]
    assert not shown(files, r"""["'](eV/atom|Å\^3/atom|Å³/atom|GPa)["']""")


def test_capabilities_are_protocols() -> None:
    assert not shown([*CORE_FILES, *PAGE_FILES], r"(has|get)attr\([\w.\[\]\"]*(model|MODELS)")


def test_pages_hold_no_logic() -> None:
    wrong = []
    for path in PAGE_FILES:
        for name in imported(path):
            parts = name.split(".")
            if parts[0] in {"numpy", "torch", "pymatgen", "scipy", "sklearn"} or (
                parts[:1] == ["matgen_core"] and parts[1:2] in (["networks"], ["recipes"], ["representations"], ["cli"])
            ):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
        if path.parent == ROOT / "pages" and "st.cache" in path.read_text():
            wrong.append(f"{path.relative_to(ROOT)} has a cache; keep it in pages/_parts")
    assert not wrong


def test_the_core_knows_nothing_of_streamlit_and_reads_no_pickle() -> None:
    never = {"streamlit", "pickle", "joblib", "cloudpickle"}
    assert not [path for path in CORE_FILES if {name.split(".")[0] for name in imported(path)} & never]
    assert not shown([*CORE_FILES, *PAGE_FILES], r"torch\.load\((?!.*weights_only=True)|allow_pickle=True|read_pickle")


def test_csv_is_written_in_one_place() -> None:
    files = [path for path in [*CORE_FILES, *PAGE_FILES] if path != CORE / "jobs" / "files" / "csv_cells.py"]
    assert not shown(files, r"\bto_csv\b|csv\.writer"), (
        "matgen_core/jobs/files/csv_cells.py writes CSV, without formulas"
    )


MESSAGES = {"error", "warning", "toast", "success", "exception", "html"}
MARKDOWN = {"markdown", "caption", "info", "title", "header", "subheader", "badge", "metric", "progress", "button"}
MARKDOWN |= {"download_button", "expander", "popover", "tabs", "pills", "toggle", "segmented_control"}
# What holds text of a file, a folder, an address or an input, by the names that pages give it.
OUTSIDE: dict[type[ast.AST], set[str]] = {
    ast.Name: {"error", "problem", "reason", "missing", "key"},
    ast.Attribute: {"problem", "reason", "card", "label", "key"},
    ast.Subscript: {"problem", "title", "system", "figure", "ours", "paper"},
}
PLAIN = {"plain", "code", "card"}


def unescaped(node: ast.AST) -> Iterator[str]:
    """Texts from outside in an expression that do not go through `plain_text`; a number with a format is none."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in PLAIN:
        return
    if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
        return
    named = getattr(node, "id", getattr(node, "attr", getattr(getattr(node, "slice", None), "value", "")))
    if named in OUTSIDE.get(type(node), ()):
        yield ast.unparse(node)
        return
    for child in ast.iter_child_nodes(node):
        yield from unescaped(child)


def test_pages_show_text_from_outside_by_one_way() -> None:
    wrong = []
    for path in [*PAGE_FILES[1:]]:
        if path.stem == "plain_text":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            if node.func.attr in MESSAGES and ast.unparse(node.func.value) not in ("plain_text", "_log"):
                wrong.append(f"{where}: {ast.unparse(node.func)}; show it with plain_text.{node.func.attr}")
            elif node.func.attr in MARKDOWN:
                shown = [*node.args[:1], *(each.value for each in node.keywords if each.arg in ("help", "caption"))]
                wrong += [f"{where}: {text} is not plain" for each in shown for text in unescaped(each)]
            wrong += [f"{where}: unsafe_allow_html" for each in node.keywords if each.arg == "unsafe_allow_html"]
    assert not wrong, "\n".join(wrong)


# What writes to a path: methods of the path itself, and functions and methods that are given one first or second.
OF_A_PATH = {"write_text", "write_bytes", "open", "touch", "rename", "replace"}
TO_A_PATH = {
    "to_csv",
    "to_parquet",
    "to_json",
    "to_excel",
    "save_file",
    "pq.write_table",
    "pq.ParquetWriter",
    "np.save",
}
TO_A_PATH |= {"np.savez", "torch.save", "json.dump", "open", "gzip.open", "os.rename", "os.replace"}
TO_A_PATH |= {f"shutil.{name}" for name in ("copyfile", "copy", "copy2", "copytree", "move")}
ALLOWED_TO_WRITE = {
    "matgen_core/jobs/files/outputs.py": "the one way out",
    "matgen_core/jobs/files/tables.py": "tables that grow do so under a name that says that they are a part",
    "matgen_core/jobs/files/csv_cells.py: write_csv": "is given the path by `tables`",
    "matgen_core/materials/formulas.py: write": "is given the path by who saves the checkpoint",
    "matgen_core/data/fetching.py: _stream": "into a temporary folder, from which the data set is made",
    "matgen_core/networks/learning/loops.py: _append": "a log of a run, a line an epoch",
}


def names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def writes(source: str) -> Iterator[str]:
    """Functions that write to another path than one that `whole_file` or `whole_folder` has given."""
    tree = ast.parse(source)
    items = [item for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items]
    given = {
        ast.unparse(item.optional_vars)
        for item in items
        if item.optional_vars and re.match(r"whole_(file|folder)\(", ast.unparse(item.context_expr))
    }
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        of, _, name = ast.unparse(node.func).rpartition(".")
        targets = node.args[:2] if {name, f"{of}.{name}"} & TO_A_PATH and (of in ("", "gzip") or name != "open") else []
        if isinstance(node.func, ast.Attribute) and name in OF_A_PATH:
            targets = [*targets, node.func.value]
        if name == "open" and not re.search(r"""(, |\(|mode=)["'][rb]*[wax+][bt+]*["']""", ast.unparse(node)):
            continue
        if name in ("replace", "rename") and not re.search(
            "(path|folder|temporary|unfinished|new)$", of
        ):  # of a text or a table
            continue
        if targets and not given & set().union(*map(names_in, targets)):
            inside = [each.name for each in functions if each.lineno <= node.lineno <= (each.end_lineno or 0)]
            yield inside[-1] if inside else "module"


def test_files_are_written_in_one_place() -> None:
    files = {str(path.relative_to(ROOT)): path.read_text() for path in [*CORE_FILES, *PAGE_FILES]}
    found = {f"{path}: {function}" for path, source in files.items() for function in writes(source)}
    wrong = {each for each in found if not {each, each.partition(":")[0]} & set(ALLOWED_TO_WRITE)}
    assert not wrong
    needless = {each for each in ALLOWED_TO_WRITE if not any(where.startswith(each) for where in found)}
    assert not needless


@pytest.mark.parametrize(
    ("code", "n"),
    [
        ("Path(x).write_text('')", 1),
        ("open(path, 'w')", 1),
        ("path.open('ab')", 1),
        ("path.open(mode='x')", 1),
        ("table.to_csv(path)", 1),
        ("table.to_parquet(path, index=False)", 1),
        ("pq.write_table(table, path)", 1),
        ("np.save(path, values)", 1),
        ("shutil.copyfile(a, b)", 1),
        ("save_file(tensors, path)", 1),
        ("path.replace(other)", 1),
        ("table.to_csv(index=False) + open(path).read() + path.open('rb').read() + text.replace('a', 'w')", 0),
        ("with whole_file(path) as beside:\n    table.to_csv(beside); beside.write_text(''); open(beside, 'w')", 0),
        ("with whole_folder(path) as made:\n    (made / 'a').write_text(''); save_file(tensors, made / 'b')", 0),
        ("with whole_file(path) as beside:\n    table.to_csv(path)", 1),
    ],
)
def test_the_rule_of_writing_sees_what_it_forbids_and_nothing_else(code: str, n: int) -> None:
    assert len(list(writes(code))) == n


def test_slow_packages_are_imported_where_they_are_used() -> None:
    early = {
        str(path.relative_to(ROOT)): names
        for path in [*CORE_FILES, *PAGE_FILES]
        if (names := {name.split(".")[0] for name in imported(path, top_level_only=True)} & SLOW)
    }
    assert not early


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


def test_every_model_has_its_line_in_every_list() -> None:
    loaded = [checkpoint.load(name) for name in checkpoint.names()]
    readme = (ROOT / "README.md").read_text()
    assert {item.model_name for item in loaded} == set(MODELS) == set(TINY)
    assert {type(item.representation) for item in loaded} == set(REPRESENTATIONS.values())
    assert checkpoint.names() == sorted(RECIPES)
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert isinstance(recipe, Recipe), f"{name}: {type(recipe).__name__} lacks a stage of Recipe"
        assert f"`{name}`" in readme, f"README.md does not name {name}"


def test_every_station_and_dependency_is_described() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for station in STATIONS:
        assert f"`{station}`" in text, f"docs/architecture.md does not describe {station}"
    of_npm = json.loads((ROOT / "package.json").read_text())
    for name in (*of_npm["dependencies"], *of_npm["devDependencies"]):
        assert f"`{name}`" in text, f"docs/architecture.md does not say what {name} is for"
    for file in (*ROOT.glob("requirements*.txt"), *ROOT.glob("requirements/*.txt")):
        for line in file.read_text().splitlines():
            if line and not line.startswith("#"):
                name, pinned, _ = line.partition("==")
                assert pinned, f"{file.name}: {line} is not pinned"
                assert f"`{name}`" in text, f"docs/architecture.md does not say what {name} is for"


def test_checkpoints_are_light() -> None:
    sizes = {path: path.stat().st_size for path in checkpoint.root().rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 85e6  # of nine systems
    assert max(sizes.values()) < 28e6
