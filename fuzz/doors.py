"""The doors: what each is given, and the one call behind it. Whoever changes a door changes its few lines here."""

import base64
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from random import Random
from unittest.mock import patch

import numpy as np

from fuzz import seeds
from fuzz.mutations import damaged, encoded, flipped
from fuzz.trying import Door, Said
from matgen_core import checkpoint, cli, data
from matgen_core.checkpoint import CheckpointError
from matgen_core.cli import compositions
from matgen_core.data import patterns, structure_files
from matgen_core.latent.map import LatentMap
from matgen_core.materials import query
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.levels import COMPOSITION, PHASE_FIELD
from matgen_core.tasks import funnel, journeys, ranking
from matgen_core.views.crystals import bench
from matgen_core.views.maps import link

_SMALL = "phase_field_norm"
_MAPPED = "phase_field_vae"
_CONFIG = "config.json"
_BROKEN = (_SMALL, "formula_lm_icsd")  # whose folders are damaged; together they have every kind of file
_SEPARATOR = "\0"  # between typed values; no argument can hold it
_GONE, _FOLDER = b"<gone>", b"<folder>"


# What is given


def _damaged_text(texts: Sequence[str], words: Sequence[str], rng: Random) -> bytes:
    return damaged(rng, rng.choice(texts), words).encode("utf-8", "surrogatepass")


def _damaged_file(texts: Sequence[str], words: Sequence[str], rng: Random) -> bytes:
    return encoded(rng, damaged(rng, rng.choice(texts), words))


def _typed(forms: Sequence[Sequence[str]], words: Sequence[str], rng: Random) -> bytes:
    """Values as somebody typed them: one or two are damaged, dropped or put in."""
    values = list(rng.choice(forms))
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        at = rng.randrange(len(values))
        values[at] = damaged(rng, values[at], words).replace(_SEPARATOR, " ")
    return _SEPARATOR.join(values).encode("utf-8", "surrogatepass")


def _arguments(rng: Random) -> bytes:
    values = _values(_typed(seeds.COMMANDS, seeds.COMMAND_WORDS, rng))
    if rng.random() < 0.3:
        values.insert(rng.randrange(len(values) + 1), rng.choice(seeds.COMMAND_WORDS))
    if rng.random() < 0.2:
        del values[rng.randrange(len(values))]
    return _SEPARATOR.join(values).encode("utf-8", "surrogatepass")


def _archive(rng: Random) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for i, texts in enumerate((seeds.CIFS, seeds.POSCARS, seeds.XYZS)):
            sound = ("a.cif", "POSCAR", "c.xyz")[i]
            name = sound if rng.random() < 0.8 else damaged(rng, f"in/{sound}")[:200].replace("\0", "") or sound
            archive.writestr(name, _damaged_file(texts, seeds.STRUCTURE_WORDS, rng))
    return flipped(rng, written.getvalue()) if rng.random() < 0.6 else written.getvalue()


def _links(rng: Random) -> bytes:
    """A view: its values damaged before they are packed, or its letters behind that; or a line of the bench."""
    if rng.random() < 0.25:
        return b"bench " + _damaged_text(
            ("icsg3d:mp-1234,icsg3d:mp-2:original", "upload:0a1b2c3d4e5f"), ("original",), rng
        )
    view = {
        "v": link.VERSION,
        "model": _MAPPED,
        "projection": "pca",
        "search": "Li-*-S-*",
        "must": ["Li", "O"],
        "never": ["Pb"],
        "at": "Cl-Li-S-Sn",
        "camera": [0.5, -1.25, 3],
        "outlines": [["pca", "replace", [0.5, 1], 0.25, [4, 0, 0, 4, -4, 0]]],
    }
    values = json.dumps(_other(rng, view) if rng.random() < 0.6 else view)
    if rng.random() < 0.4:
        values = damaged(rng, values, tuple(view))
    packed = zlib.compress(values.encode("utf-8", "surrogatepass"))
    text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return b"view " + (damaged(rng, text) if rng.random() < 0.2 else text).encode("utf-8", "surrogatepass")


def _folders(rng: Random) -> bytes:
    """One file of a checkpoint: its name, a line's end, and what it holds instead."""
    path = rng.choice(_files_of(rng.choice(_BROKEN)))
    content = _without_hashes(path) if path.name == _CONFIG else path.read_bytes()
    chance = rng.random()
    if chance < 0.04:
        content = rng.choice((_GONE, _FOLDER, b"", b"{}", b"[]", b"null", b"\0" * 64))
    elif path.suffix == ".json" and chance < 0.6:
        content = json.dumps(_other(rng, json.loads(content))).encode("utf-8", "surrogatepass")
    elif path.suffix in (".json", ".md"):
        content = _damaged_file((content.decode(),), ("format", "model"), rng)
    elif chance < 0.3:  # lengths, headers and footers stand at the ends
        edge = rng.choice((8, 64, 512))
        content = flipped(rng, content[:edge]) + content[edge:]
        if path.suffix == ".parquet":
            content = content[: -4 * edge] + flipped(rng, content[-4 * edge :])
    else:
        content = flipped(rng, content)
    return f"{path.parent.name}/{path.name}\n".encode() + content


def _other(rng: Random, values: object) -> object:
    """Put something else into a random place of JSON values, or leave the place out."""
    if isinstance(values, dict) and values and rng.random() < 0.9:
        key = rng.choice(sorted(values))
        if rng.random() < 0.2:
            return {name: value for name, value in values.items() if name != key}
        return values | {key: _other(rng, values[key])}
    if isinstance(values, list) and values and rng.random() < 0.8:
        at = rng.randrange(len(values))
        return [*values[:at], _other(rng, values[at]), *values[at + 1 :]]
    strange = (None, True, 0, -1, 1e308, 10**30, "", "x", "\u2028\n", [], {}, [[]], {"a": {}}, float("nan"))
    return rng.choice((*strange, damaged(rng, values) if isinstance(values, str) else [values]))


@cache
def _files_of(name: str) -> list[Path]:
    return sorted(path for path in (checkpoint.root() / name).iterdir() if path.is_file())


# The doors


def _structures(name: str, content: bytes, folder: Path) -> Said:
    found = structure_files.read_content(name, name, content)
    lines = [line for each in found for line in (each.problem, *each.notes) if line]
    return Said(any(each.structure is not None for each in found), lines)


def _uploads(content: bytes, folder: Path) -> Said:
    found = data.read_uploads([data.Upload("given.zip", content)])
    lines = [line for each in found for line in (each.problem, *each.notes) if line]
    return Said(any(each.structure is not None for each in found), lines)


def _pattern(content: bytes, folder: Path) -> Said:
    patterns.read_pattern(content, "pattern.xy")
    return Said(True)


def _formula(content: bytes, folder: Path) -> Said:
    text = content.decode("utf-8", "surrogatepass")
    formulas, problems = Formulas.of_texts([text])
    if problems[0]:
        return Said(False, problems)
    COMPOSITION.parse(text)
    return Said(bool(formulas.texts()[0]))


def _field(content: bytes, folder: Path) -> Said:
    field = PhaseField.parse(content.decode("utf-8", "surrogatepass"), mixed_valence=True)
    return Said(PHASE_FIELD.parse(field.write()) == field and bool(PHASE_FIELD.display(field.write())))


def _search(content: bytes, folder: Path) -> Said:
    materials = ("Fe2O3", "LiFePO4", "Cl-Li-S-Sn", "NaCl", "Cu2MnAl", "Li-S")
    query.find(content.decode("utf-8", "surrogatepass"), materials, ("mp-1", "mp-149"))
    return Said(True)


def _link(content: bytes, folder: Path) -> Said:
    kind, _, text = content.decode("utf-8", "surrogatepass").partition(" ")
    if kind == "bench":
        entries, problems = bench.read_entries(text)
        return Said(bool(entries), problems)
    view, space = link.decode(text), _map()
    link.replay(view.outlines, {"pca": space.index[["pca_x", "pca_y"]].to_numpy(float)})
    query.find(view.search, (), ())
    if view.at:
        journeys.waypoint(space, view.at)
    link.decode(link.encode(view))
    return Said(True)


@cache
def _map() -> LatentMap:
    return LatentMap(checkpoint.load(_MAPPED))


def _without_hashes(path: Path) -> bytes:
    """A `config.json` as older versions wrote it: of a folder with hashes, hardly anything that was damaged is read."""
    return json.dumps(
        {key: each for key, each in json.loads(path.read_text()).items() if key != "sha256"} | {"format": 2}
    ).encode()


def _checkpoint(content: bytes, folder: Path) -> Said:
    place, _, inside = content.partition(b"\n")
    name = next((each for each in _BROKEN if place.startswith(each.encode())), _SMALL)
    made = folder / "checkpoints" / name
    shutil.rmtree(made.parent, ignore_errors=True)
    made.mkdir(parents=True)
    for path in _files_of(name):
        if not place.endswith(path.name.encode()):
            if path.name == _CONFIG and zlib.crc32(inside) % 4:
                (made / path.name).write_bytes(_without_hashes(path))
            else:
                os.symlink(path, made / path.name)
        elif inside == _FOLDER:
            (made / path.name).mkdir()
        elif inside != _GONE:
            (made / path.name).write_bytes(inside)
    with patch.dict(os.environ, {"MATGEN_CHECKPOINTS": str(folder / "checkpoints")}):
        mapped = checkpoint.has_map(name)
        if not checkpoint.names():
            return Said(False)
        checkpoint.summary(name)
        loaded = checkpoint.load(name)
        if mapped:
            LatentMap(loaded)
    return Said(True)


def _conditions(content: bytes, folder: Path) -> Said:
    n, seed, must, may, never, elements, atoms, energy, within = _values(content)
    wanted = compositions.wanted(must, may, never, elements, atoms)
    try:  # as the command line and the fields of a page do, before anything of ours
        numbers, asked = (int(n), int(seed)), {"formation_energy_per_atom": float(energy)}
    except ValueError:
        return Said(False)
    request = funnel.Request(*numbers, wanted, asked, tolerance=compositions.tolerances([within], asked))
    request.wanted.passes(Formulas.of_texts(["LiFePO4", "NaCl"])[0])
    return Said(True)


def _command(arguments: Sequence[str], folder: Path) -> Said:
    """Call the command as its own process would; what it prints about input is one line."""
    out, err = io.StringIO(), io.StringIO()
    around = {"MATGEN_DATA": str(folder / "data"), "COLUMNS": "200"}
    with patch.dict(os.environ, around), patch.object(sys, "argv", ["matgen", *arguments]):
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main()
                code: int | str | None = 0
            except SystemExit as stopped:
                code = stopped.code
    text = err.getvalue()
    if "Traceback" in text or code not in (0, None, 2):
        raise RuntimeError(f"ended with {code}: {text}")
    if not code:
        return Said(True)
    _, ours, line = text.rpartition("\nmatgen: ") if not text.startswith("matgen: ") else text.partition("matgen: ")
    return Said(False, [line.removesuffix("\n")] if ours else [])  # else it is the usage, of several lines


def _table(command: Sequence[str], content: bytes, folder: Path) -> Said:
    (folder / "given.csv").write_bytes(content)
    shutil.rmtree(folder / "data", ignore_errors=True)
    return _command([*command, "given.csv"], folder)


def _command_line(content: bytes, folder: Path) -> Said:
    """Arguments in a folder of their own; none that leads out of it, learns, listens or draws for hours."""
    arguments = [value for value in _values(content) if "/" not in value and ".." not in value]
    if {"train", "evaluate", "regrade", "card", "app", "fetch"} & set(arguments):
        return Said(False)
    shutil.rmtree(folder / "place", ignore_errors=True)
    place = folder / "place"
    place.mkdir()
    for name, text in (("fields.csv", seeds.FIELD_TABLES[0]), ("formulas.csv", seeds.FORMULA_TABLES[0])):
        (place / name).write_text(text)
    (place / "salt.cif").write_text(seeds.CIFS[0])
    np.save(place / "points.npy", np.zeros((2, 4), np.float32))
    with contextlib.chdir(place):
        return _command(_few(arguments), folder)


def _few(arguments: list[str]) -> list[str]:
    """No more than 50 of anything that a number asks for: much work is no failure."""
    return ["50" if _is_many(value) else value for value in arguments]


def _is_many(value: str) -> bool:
    try:
        return int(value) > 50
    except ValueError:
        return False


def warm() -> None:
    """Load and compile what several doors need, so that each worker begins with it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("given.csv").write_text(seeds.FORMULA_TABLES[0])
        _command(["check", "given.csv"], Path(folder))
        Path("given.csv").write_text(seeds.FIELD_TABLES[0])
        _command(["rank", "given.csv", "--model", _SMALL], Path(folder))
        for texts, name in ((seeds.CIFS, "a.cif"), (seeds.POSCARS, "POSCAR"), (seeds.XYZS, "a.xyz")):
            _structures(name, texts[0].encode(), Path(folder))
    _map()


def _values(content: bytes) -> list[str]:
    return content.decode("utf-8", "surrogatepass").split(_SEPARATOR)


def _enumeration(content: bytes, folder: Path) -> Said:
    must, cations, anions, n_elements, n_anions = _values(content)
    listed = [text.replace(",", " ").split() for text in (must, cations, anions)]
    try:
        numbers = int(n_elements), int(n_anions)
    except ValueError:
        return Said(False)
    ranking.enumerate_fields(*listed, *numbers, set())
    return Said(True)


def _structure_door(name: str, file_name: str, texts: Sequence[str]) -> Door:
    make: Callable[[Random], bytes] = partial(_damaged_file, texts, seeds.STRUCTURE_WORDS)
    return Door(name, f"{file_name.rpartition('.')[2]} files", make, partial(_structures, file_name), suffix=f".{name}")


def _table_door(name: str, what: str, command: Sequence[str], texts: Sequence[str]) -> Door:
    return Door(name, what, partial(_damaged_file, texts, seeds.TABLE_WORDS), partial(_table, command), suffix=".csv")


DOORS = {
    door.name: door
    for door in (
        _structure_door("cif", "given.cif", seeds.CIFS),
        _structure_door("mcif", "given.mcif", seeds.MCIFS),
        _structure_door("poscar", "POSCAR", seeds.POSCARS),
        _structure_door("xyz", "given.xyz", seeds.XYZS),
        Door("zip", "archives of structure files", _archive, _uploads, suffix=".zip"),
        _table_door("formulas-csv", "tables of formulas", ["check"], seeds.FORMULA_TABLES),
        _table_door("fields-csv", "tables of phase fields", ["rank", "--model", _SMALL], seeds.FIELD_TABLES),
        _table_door("structures-csv", "tables of structures", ["data", "import", "mine"], seeds.STRUCTURE_TABLES),
        Door("pattern", "powder patterns", partial(_damaged_file, seeds.PATTERNS, ("Angle", "2theta")), _pattern),
        Door("formula", "formulas", partial(_damaged_text, seeds.FORMULAS, seeds.FORMULA_WORDS), _formula),
        Door("field", "phase fields", partial(_damaged_text, seeds.FIELDS, seeds.FORMULA_WORDS), _field),
        Door("search", "search lines", partial(_damaged_text, seeds.SEARCHES, seeds.SEARCH_WORDS), _search),
        Door("link", "links to a view or to the bench", _links, _link),
        Door("checkpoint", "checkpoint folders", _folders, _checkpoint, (CheckpointError,)),
        Door(
            "conditions", "what a generator is asked for", partial(_typed, seeds.CONDITIONS, ("Li", "2-4")), _conditions
        ),
        Door("enumeration", "lists of elements", partial(_typed, seeds.ENUMERATIONS, ("Li", "O")), _enumeration),
        Door("command", "arguments of the command", _arguments, _command_line),
    )
}
