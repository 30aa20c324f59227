"""Damaged input at every door, a little of it, and that the fuzzer sees what it is for; `make fuzz` tries far more."""

import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from fuzz.doors import DOORS
from fuzz.trying import Failure, tried
from tests.support.rows import each_row
from tests.support.serving import ROOT

PLANTED = """
import os
from pathlib import Path
from fuzz import workers
from fuzz.trying import Door, Said

workers.SECONDS = 0.5

def knock(content: bytes, folder: Path) -> Said:
    match int(content) % 10:
        case 1:
            raise TypeError("a bug")
        case 2:
            raise ValueError("two\\nlines")
        case 3:
            return Said(True, ["x" * 2000])
        case 4:
            while True:
                pass
        case 5:
            bytearray(4 << 30)
        case 6:
            os.abort()
        case 7:
            raise ValueError("refused")
        case 8:
            raise LookupError("refused, too")
    return Said(True)

door = Door("planted", "", lambda rng: str(next(numbers)).encode(), knock, (LookupError,))
Door.input = lambda self, seed, number: str(number).encode()
counts = workers.run(door, 20, 1, shrink=False)
print(counts.read, counts.refused)
for failure in sorted(counts.failures, key=lambda each: each.number):
    print(failure.number, failure.kind, failure.content.decode(), sep="|")
"""


def test_each_way_to_fail_is_caught_and_the_next_input_is_tried() -> None:
    done = subprocess.run([sys.executable, "-c", PLANTED], cwd=ROOT, capture_output=True, text=True, check=True)
    counts, *failures = done.stdout.splitlines()
    kinds = ["traceback", "more than a line", "a line too long", "time", "memory", "crash"]
    assert counts == "4 4"
    assert failures == [f"{ten + i}|{kind}|{ten + i}" for ten in (0, 10) for i, kind in enumerate(kinds, 1)]


def test_no_door_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz", "-n", "50", "--as-made", "--out", str(tmp_path / "fuzz.md")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]+\| ([\d, |]+) \|$", (tmp_path / "fuzz.md").read_text(), re.MULTILINE)
    table = {name: [int(cell.replace(",", "")) for cell in cells.split(" | ")] for name, cells in rows}
    assert table.keys() == DOORS.keys()
    for name, (n, read, refused, failed, slow, large, _) in table.items():
        assert n == read + refused + failed + slow + large == 50
        assert min(read, refused) >= 3, f"{name} is given too much or too little that is sound"
        assert slow == large == 0, f"{name}\n{done.stdout}"
        assert not failed, done.stdout


def test_an_input_follows_from_its_number() -> None:
    for door in DOORS.values():
        made = [door.input(1, number) for number in range(20)]
        assert made == [door.input(1, number) for number in range(20)]
        assert made != [door.input(2, number) for number in range(20)]


def nameless() -> bytes:
    """An archive with a file that has no name."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("ab", "x")
    content = written.getvalue()
    directory = content.index(b"PK\x01\x02")
    return content[:26] + b"\0" + content[27:directory].replace(b"ab", b"", 1) + _shorter(content[directory:])


def _shorter(directory: bytes) -> bytes:
    entry = directory[:28] + b"\0" + directory[29:].replace(b"ab", b"", 1)
    end = entry.index(b"PK\x05\x06")
    size, start = (
        int.from_bytes(entry[end + 12 : end + 16], "little"),
        int.from_bytes(entry[end + 16 : end + 20], "little"),
    )
    sizes = (size - 2).to_bytes(4, "little") + (start - 2).to_bytes(4, "little")
    return entry[: end + 12] + sizes + entry[end + 20 :]


@each_row(
    ("door", "content", "said"),
    [
        ("search", b"has:Li Na1e999", "'Na1e999' is no element"),
        ("search", b"Li" * 900, "of 1,800 letters"),
        ("search", b"Li " * 900, "a search line of 2,700 letters"),
        ("search", b"n<=" + b"9" * 390, ""),
        ("zip", nameless(), "it has no name"),
        ("xyz", b'1\nLattice="3 0 0 0 3 0 0 0 3" pbc="' + b"T " * 900 + b'"\nFe 0 0 0\n', "pbc has 900 values"),
        ("cif", b"data_a\n_cell_" + b"x" * 3000 + b" 1\n_cell_" + b"x" * 3000 + b" 2\n", "no _cell_length_a"),
    ],
)
def test_what_once_failed_is_refused_in_one_line(door: str, content: bytes, said: str, tmp_path: Path) -> None:
    found = tried(DOORS[door], content, tmp_path)
    assert not isinstance(found, Failure), found
    try:
        lines = list(DOORS[door].knock(content, tmp_path).lines)
    except ValueError as error:
        lines = [str(error)]
    assert said in " ".join(lines)
