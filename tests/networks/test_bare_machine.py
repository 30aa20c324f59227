"""What a bare GPU machine imports: networks, with torch, what comes with it, numpy and safetensors alone."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NETWORKS = ROOT / "matgen_core" / "networks"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in NETWORKS.rglob("*.py")
)

# What torch imports for itself it may import; of our code, each statement is looked at, for modules that torch has
# loaded too, and each search for a module, for those that importlib is asked for.
GUARD = """
import builtins, sys
ALLOWED = {"torch", "numpy", "safetensors", "filelock", *sys.stdlib_module_names}
OURS = {"matgen_core", "matgen_core.jobs", "matgen_core.jobs.files", "matgen_core.jobs.files.outputs"}
plain = builtins.__import__

def refuse(name):
    of_us = name in OURS or name.startswith("matgen_core.networks")
    if not of_us and name.partition(".")[0] not in ALLOWED:
        raise ImportError(f"networks may not import {name}")

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    if globals and str(globals.get("__name__")).partition(".")[0] == "matgen_core":
        refuse(name)
        for part in set(fromlist or ()) - {"Named"} if name == "matgen_core" else ():
            refuse(f"matgen_core.{part}")
    return plain(name, globals, locals, fromlist, level)

class Finder:
    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe(1)
        while "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        if "matgen_core" in frame.f_code.co_filename:
            refuse(name)

builtins.__import__ = guarded
sys.meta_path.insert(0, Finder())
"""


def bare(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process in which our code can import nothing else."""
    command = [sys.executable, "-c", GUARD + code]
    return subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def test_every_module_of_networks_imports() -> None:
    done = bare("import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in MODULES))
    assert done.returncode == 0, done.stderr
    assert "matgen_core.networks.learning.__main__" in MODULES


def test_what_a_bare_machine_lacks_is_refused() -> None:
    """The guard sees foreign imports in a module of ours; sympy, which torch needs, is loaded already."""
    lines = (
        "import pandas",
        "import sympy",
        "from matgen_core import data",
        "importlib.import_module('pymatgen.core')",
    )
    done = bare(f"""
import importlib, sympy, matgen_core
for line in {lines}:
    planted = compile(line, {str(NETWORKS / "planted.py")!r}, "exec")
    try:
        exec(planted, {{"__name__": "matgen_core.networks.planted", "importlib": importlib}})
    except ImportError as error:
        print(error)
""")
    assert done.stdout.splitlines() == [
        f"networks may not import {name}" for name in ("pandas", "sympy", "matgen_core.data", "pymatgen")
    ], done.stderr


def test_the_main_of_a_bare_machine_says_in_one_line_what_it_cannot_use(tmp_path: Path) -> None:
    command = f"import sys, runpy\nsys.argv = ['x', 'nope', '--arrays', 'a', '--out', {str(tmp_path / 'run')!r}]\n"
    done = bare(command + "runpy.run_module('matgen_core.networks.learning', run_name='__main__')")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "'nope' is no learner; known: cgcnn_energy" in done.stderr
