"""Files from anybody: archives and structure files made to harm cost one line each, and little time."""

import io
import struct
import time
import zipfile
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from matgen_core.data import Upload, read_structures, read_uploads, uploads
from matgen_core.data.structure_export import cif, extended_xyz, poscar
from matgen_core.data.structure_files import MAX_BYTES, MAX_SITES, read_content
from tests.support.crystals import NACL
from tests.support.rows import each_row

CIF = cif(NACL).encode()
EVIL = "<script>alert(1)</script>"


def archive(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return made.getvalue()


def problems(name: str, content: bytes) -> list[str]:
    """What is wrong with each file of an upload; it has to come soon."""
    started = time.process_time()
    found = read_uploads([Upload(name, content)])
    assert time.process_time() - started < 5
    assert all("\n" not in each.problem for each in found)
    return [each.problem for each in found]


def operations(n: int, rows: int) -> bytes:
    """A CIF whose every site is copied by n different operations."""
    lines = ["data_bomb", *(f"_cell_length_{axis} 30" for axis in "abc")]
    lines += [*(f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma")), "loop_"]
    lines += ["_space_group_symop_operation_xyz", *(f"'x+{i / n:.5f},y+{i * 7 % n / n:.5f},z'" for i in range(n))]
    lines += ["loop_", "_atom_site_label", "_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z"]
    lines += [f"Fe{i} {i / rows:.5f} {i * i % rows / rows:.5f} 0.3" for i in range(rows)]
    return "\n".join(lines).encode()


def test_an_archive_is_read_in_order_with_what_was_skipped() -> None:
    content = archive(
        {
            "set/a.cif": CIF,
            "set/POSCAR": poscar(NACL).encode(),
            "set/notes.pdf": b"%PDF",
            "set/broken.cif": b"data_\n_cell_length_a ?\n",
            "__MACOSX/set/._a.cif": b"\0\0",
            "b.xyz": extended_xyz(NACL).encode(),
        }
    )
    found = read_uploads([Upload("mine.zip", content), Upload("a.cif", CIF), Upload("a.cif", CIF)])
    assert [each.name for each in found] == [
        "mine.zip/set/a.cif",
        "mine.zip/set/POSCAR",
        "mine.zip/set/notes.pdf",
        "mine.zip/set/broken.cif",
        "mine.zip/b.xyz",
        "a.cif",
        "a.cif (2)",
    ]
    assert [each.structure is not None for each in found] == [True, True, False, False, True, True, True]
    assert "not the name of a structure file" in found[2].problem
    assert "no readable CIF" in found[3].problem


def test_rubbish_is_no_archive() -> None:
    (problem,) = problems("mine.zip", b"PK\x03\x04" + bytes(range(256)) * 50)
    assert "no readable zip archive" in problem
    (problem,) = problems("cut.zip", archive({"a.cif": CIF})[:-30])
    assert "no readable zip archive" in problem
    (problem,) = problems("empty.zip", archive({}))
    assert "it holds no file" in problem


def test_a_bomb_is_refused_by_what_it_declares_and_by_what_it_holds() -> None:
    bomb = archive({"a.cif": b"\n" * (MAX_BYTES + 1), "b.cif": CIF})
    assert problems("bomb.zip", bomb)[0].startswith("skipped: 10 MB")  # before it is unpacked
    assert problems("bomb.zip", bomb)[1] == ""
    # The same with a lie: both headers say that the file has 100 bytes.
    size = struct.pack("<I", MAX_BYTES + 1)
    lie = bomb.replace(size, struct.pack("<I", 100))
    assert lie != bomb
    assert problems("lie.zip", lie)[0].startswith("skipped: it cannot be unpacked")


def test_the_sum_of_an_archive_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UNPACKED_BYTES", 3 * len(CIF))
    said = problems("many.zip", archive({f"{i}.cif": CIF for i in range(5)}))
    assert said[:3] == ["", "", ""]
    assert all("the archive unpacks to more than" in problem for problem in said[3:])


def test_the_number_of_files_and_of_crystals_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    (problem,) = problems("many.zip", archive({f"{i}.txt": b"" for i in range(uploads.MAX_FILES + 1)}))
    assert f"501 files; at most {uploads.MAX_FILES} are read" in problem
    monkeypatch.setattr(uploads, "MAX_CRYSTALS", 3)
    frames = extended_xyz(NACL) * 5
    found = read_uploads([Upload("walk.xyz", frames.encode()), Upload("a.cif", CIF)])
    assert [each.structure is not None for each in found] == [True, True, True, False, False]
    assert found[3].problem.startswith("2 crystals: not read")
    assert found[4].problem.startswith("not read")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../../etc/passwd.cif", "points outside the archive"),
        ("/etc/passwd.cif", "points outside the archive"),
        ("..\\windows\\a.cif", "points outside the archive"),
        ("C:\\a.cif", "points outside the archive"),
        ("inner.zip", "an archive within an archive"),
    ],
)
def test_names_are_names_and_never_places(name: str, said: str) -> None:
    (problem,) = problems("mine.zip", archive({name: CIF}))
    assert said in problem


def test_encrypted_and_strangely_packed_files_are_skipped() -> None:
    plain = archive({"a.cif": CIF})
    locked = bytearray(plain)
    locked[plain.index(b"PK\x03\x04") + 6] |= 1
    locked[plain.index(b"PK\x01\x02") + 8] |= 1
    assert problems("locked.zip", bytes(locked)) == ["skipped: it is encrypted"]
    (problem,) = problems("lzma.zip", archive({"a.cif": CIF}, zipfile.ZIP_LZMA))
    assert "compressed by a method that is not read" in problem


def test_a_huge_file_is_refused_with_the_limit() -> None:
    (problem,) = problems("huge.cif", bytes(100 * 10**6))
    assert problem == "100 MB, but a structure file may have at most 10 MB"
    (problem,) = problems("huge.zip", bytes(100 * 10**6))
    assert "100 MB; at most 52 MB are read" in problem


@each_row(
    ("name", "content", "said"),
    [
        ("a.cif", operations(192, 500), "500 sites under 192 symmetry operations; at most 5000 images"),
        ("a.cif", b"data_x\n" + b"'" * 300_000, "none of its blocks holds a cell"),
        ("a.cif", b"data_x\n_a 1\n" * 3_000, "more than 1000 blocks"),
        ("POSCAR", b"x\n1\n3 0 0\n0 3 0\n0 0 3\nH\n99999999999\nDirect\n0 0 0\n", f"more than {MAX_SITES}"),
        ("POSCAR", b"x\n1\n3 0 0\n0 3 0\n0 0 3\n9999999 9999999\nDirect\n0 0 0\n", f"more than {MAX_SITES}"),
        ("a.xyz", b'999999999999\nLattice="3 0 0 0 3 0 0 0 3"\nH 0 0 0\n', "the file ends before"),
        ("a.cif", b"\x89PNG\0\0", "no text but binary data"),
        ("a.cif", b"", "the file is empty"),
        ("a.vasp", poscar(NACL).encode().replace(b"5.64", b"0.14"), "check the unit of the cell"),
    ],
)
def test_a_file_that_would_take_forever_costs_one_line(name: str, content: bytes, said: str) -> None:
    (problem,) = problems(name, content)
    assert said in problem


def test_a_flat_cell_is_refused() -> None:
    flat = Structure(Lattice.orthorhombic(400, 400, 0.01), ["Fe"], [[0, 0, 0]])
    (found,) = read_content("flat.cif", "flat.cif", cif(flat).encode())
    assert "0.01 Å apart" in found.problem


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of spglib, for how pymatgen calls it
def test_a_legitimate_high_symmetry_cif_is_read() -> None:
    from pymatgen.io.cif import CifWriter

    written = str(CifWriter(NACL, symprec=0.01)).encode()  # 192 operations
    (found,) = read_content("salt.cif", "salt.cif", written)
    assert found.structure is not None
    assert len(found.structure) == 8


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_other_encodings_are_read(encoding: str) -> None:
    text = "# gemessen in Zürich, 25 °C\n" + CIF.decode()
    (found,) = read_content("a.cif", "a.cif", text.encode(encoding))
    assert found.problem == ""


def test_script_in_names_and_formulas_reaches_nothing_but_the_name() -> None:
    text = CIF.decode().replace("data_NaCl", f"data_{EVIL}").replace("Na4 Cl4", EVIL)
    (found,) = read_uploads([Upload(f"{EVIL}.cif", text.encode())])
    assert found.name == "script>.cif"  # what stands behind the last slash
    assert found.structure is not None
    assert found.structure.composition.reduced_formula == "NaCl"
    label = text.replace(" Na  Na0 ", f" Na  {EVIL} ")
    (found,) = read_uploads([Upload("a.cif", label.encode())])
    assert found.structure is None or EVIL not in "".join(found.structure.symbol_set)


def test_a_cif_cannot_run_code(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    payload = (
        "data_5yOhtAoR\n_audit_creation_date 2018-06-08\nloop_\n_parent_propagation_vector.id\n"
        "_parent_propagation_vector.kxkykz\nk1 [0 0 0]\n_space_group_magn.transform_BNS_Pp_abc  'a,b,"
        '[d for d in ().__class__.__mro__[1].__getattribute__ ( *[().__class__.__mro__[1]]+["__sub" + "classes__"]) ()'
        ' if d.__name__ == "BuiltinImporter"][0].load_module ("os").system ("touch ' + str(mark) + "\");0,0,0'\n"
        "_space_group_magn.number_BNS  62.448\n_space_group_magn.name_BNS  \"P  n'  m  a'  \"\n"
    )
    for text in (payload, CIF.decode() + payload.partition("\n")[2]):
        read_content("a.cif", "a.cif", text.encode())
    assert not mark.exists()


def test_a_folder_and_the_same_files_in_an_archive_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_bytes(CIF)
    (tmp_path / "POSCAR").write_bytes(poscar(NACL).encode())
    on_disk = read_structures([tmp_path])
    handed = read_uploads([Upload(path.name, path.read_bytes()) for path in sorted(tmp_path.iterdir())])
    assert [(a.name, a.structure) for a in on_disk] == [(b.name, b.structure) for b in handed]
