"""What is locked: all that is asked for, at the version asked for, each file of it by its hash; torch aside."""

import json
import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.serving import ROOT

LOCKS = ROOT / "requirements"
ASKED = {
    "runtime": ["requirements.txt"],
    "login": ["requirements/login.txt"],
    "node": ["requirements/node.txt"],
    "physics": ["requirements/physics.txt"],
    "dev": ["requirements.txt", "requirements-dev.txt", "requirements/login.txt"],
}
_TORCH = re.search(r"^torch==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)


def asked(file: Path) -> dict[str, str]:
    """Names and versions of a list that a person wrote."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def locked(name: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes of each package of a lock."""
    text = re.sub(r"^\s*#.*\n", "", (LOCKS / f"{name}.lock").read_text(), flags=re.MULTILINE)
    found = {}
    for block in re.split(r"\n(?=\S)", text.strip()):
        pin = re.match(r"([A-Za-z0-9._-]+)==(\S+)(?: ; [^\\]+)?(?= \\)", block)
        assert pin, f"{name}.lock holds what is no pinned package with hashes: {block[:80]!r}"
        found[canonicalize_name(pin[1])] = (pin[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block)))
    return found


def needs(package: str) -> set[str]:
    """What an installed package asks for on this machine."""
    try:
        lines = map(Requirement, requires(package) or [])
    except PackageNotFoundError:  # for another platform
        return set()
    return {canonicalize_name(each.name) for each in lines if not each.marker or each.marker.evaluate({"extra": ""})}


@pytest.mark.parametrize("name", ASKED)
def test_a_lock_holds_what_is_asked_for_and_all_that_it_needs(name: str) -> None:
    pins = locked(name)
    for file in ASKED[name]:
        for package, version in asked(ROOT / file).items():
            if package != "torch":
                assert pins.get(package, ("none", 0))[0] == version, f"{name}.lock: {package}; run: make lock"
    assert all(hashes for _, hashes in pins.values())
    assert name == "node" or max(hashes for _, hashes in pins.values()) > 20  # the files of every platform
    assert "torch" not in pins
    there = pins.keys() | ({"torch"} if name == "physics" else set())  # it is installed behind torch
    missing = {(package, need) for package in pins for need in needs(package) - there}
    assert not missing, f"{name}.lock; run: make lock"  # nothing in it asks for torch either


def test_the_locks_agree_and_name_no_server() -> None:
    runtime, dev = locked("runtime"), locked("dev")
    assert runtime.items() <= dev.items()
    assert {name: pin for name, pin in locked("login").items() if name in dev} == {
        name: dev[name] for name in locked("login")
    }
    for file in LOCKS.glob("*.lock"):
        assert not re.search(r"https?:|file:|@ |^\s*--(?!hash)", file.read_text(), re.MULTILINE), file.name


def test_what_torch_needs_is_locked() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["dependency-metadata"]
    (torch,) = [each for each in metadata if each["name"] == "torch"]
    assert _TORCH
    assert torch["version"] == _TORCH[1]
    stated = {canonicalize_name(Requirement(line).name) for line in torch["requires-dist"]}
    built_for_a_gpu = {need for need in needs("torch") if need.startswith(("nvidia", "cuda", "triton"))}
    assert needs("torch") - built_for_a_gpu == stated <= locked("runtime").keys()


def test_every_package_of_npm_has_its_hash() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert all(each.get("integrity", "").startswith("sha512-") for path, each in packages.items() if path)
    assert not [path for path, each in packages.items() if "resolved" in each]
