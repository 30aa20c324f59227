"""Files that somebody hands over, in memory: structure files and zip archives of them, nothing ever written to disk.

What cannot be read keeps its place with the reason. An archive may be made to harm: no file of it is unpacked beyond
the size that it declares, those sizes are limited, and the names in it are names, never places.
"""

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from matgen_core.data.structure_files import MAX_BYTES, StructureFile, one_line, read_content, too_large

MAX_ARCHIVE_BYTES = 50 * 1024**2  # as it is sent
MAX_UNPACKED_BYTES = 100 * 1024**2  # of everything in an archive
MAX_FILES = 500  # in an archive, folders included
MAX_CRYSTALS = 200  # at a time
LIMITS = (
    f"up to {MAX_CRYSTALS} crystals at a time; a file up to {MAX_BYTES // 1024**2} MB, an archive up to"
    f" {MAX_ARCHIVE_BYTES // 1024**2} MB with {MAX_FILES} files"
)
_ENTRY = b"PK\x01\x02"  # begins every entry of an archive's directory
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SYSTEM = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


Reader = Callable[[str, str, bytes], list[StructureFile]]


@dataclass(frozen=True)
class Upload:
    """A file as it was handed over."""

    name: str
    content: bytes


def read_uploads(uploads: Sequence[Upload], read: Reader = read_content) -> list[StructureFile]:
    """Read structure files and zip archives of them.

    Args:
        uploads: As they were handed over.
        read: What reads one file; given what `read_content` is given.

    Returns:
        One for each crystal, and one with the reason for each file that was skipped, in the order of the files;
        "a.zip/b.cif" names a file of an archive, and " (2)" stands behind a name that was there before. Crystals
        beyond `MAX_CRYSTALS` have a reason and no structure.
    """
    found: list[StructureFile] = []
    n_crystals = 0
    for upload in uploads:
        for name, file_name, content in _unpacked(upload):
            if isinstance(content, str):
                found.append(StructureFile(name, PurePosixPath(file_name).stem, problem=content))
            elif n_crystals >= MAX_CRYSTALS:
                found.append(StructureFile(name, PurePosixPath(file_name).stem, problem=_TOO_MANY))
            else:
                crystals = read(name, file_name, content)
                found += crystals[: MAX_CRYSTALS - n_crystals]
                if left_out := crystals[MAX_CRYSTALS - n_crystals :]:
                    found.append(
                        StructureFile(name, left_out[0].stem, problem=f"{len(left_out)} crystals: {_TOO_MANY}")
                    )
                n_crystals += sum(each.structure is not None for each in crystals)
    return _distinct(found)


def _distinct(files: Sequence[StructureFile]) -> list[StructureFile]:
    counts: Counter[str] = Counter()
    named = []
    for file in files:
        counts[file.name] += 1
        number = counts[file.name]
        named.append(file if number == 1 else replace(file, name=f"{file.name} ({number})"))
    return named


_TOO_MANY = f"not read: more than {MAX_CRYSTALS} crystals at a time; give the rest in a second go"


def _unpacked(upload: Upload) -> list[tuple[str, str, bytes | str]]:
    """Name, file name without folder, and content or the reason why there is none, of each file."""
    plain = PurePosixPath(upload.name.replace("\\", "/")).name
    if not plain.lower().endswith(".zip"):
        return [(plain, plain, too_large(len(upload.content)) if len(upload.content) > MAX_BYTES else upload.content)]
    try:
        return _archive(plain, upload.content)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError) as error:
        return [(plain, plain, f"no readable zip archive ({one_line(error)})")]


def _archive(name: str, content: bytes) -> list[tuple[str, str, bytes | str]]:
    if len(content) > MAX_ARCHIVE_BYTES:
        raise ValueError(f"{len(content) / 1e6:.0f} MB; at most {MAX_ARCHIVE_BYTES / 1e6:.0f} MB are read")
    if (n_files := content.count(_ENTRY)) > MAX_FILES:  # before the directory is read: a million entries take 1 GB
        raise ValueError(f"{n_files} files; at most {MAX_FILES} are read, so split it")
    left = MAX_UNPACKED_BYTES
    files: list[tuple[str, str, bytes | str]] = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            if not entry.filename:
                files.append((f"{name}/", "", "skipped: it has no name"))
                continue
            path = PurePosixPath(entry.filename.replace("\\", "/"))
            if entry.is_dir() or set(path.parts) & set(_SYSTEM):
                continue
            inside = _content(archive, entry, path, left)
            left -= 0 if isinstance(inside, str) else len(inside)
            files.append((f"{name}/{entry.filename}", path.name, inside))
    if not files:
        raise ValueError("it holds no file")
    return files


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: PurePosixPath, left: int) -> bytes | str:
    """Unpack one file, or say why it is skipped."""
    if ".." in path.parts or path.is_absolute() or ":" in entry.filename:
        return "skipped: its name points outside the archive"
    if path.suffix.lower() == ".zip":
        return "skipped: an archive within an archive; unpack it first"
    if entry.flag_bits & 0x1:
        return "skipped: it is encrypted"
    if entry.compress_type not in _METHODS:
        return "skipped: compressed by a method that is not read; use the ordinary one (deflate)"
    if entry.file_size > MAX_BYTES:
        return f"skipped: {too_large(entry.file_size)}"
    if entry.file_size > left:
        return f"skipped: the archive unpacks to more than {MAX_UNPACKED_BYTES / 1e6:.0f} MB"
    try:
        return archive.read(entry)  # stops at the declared size; a file that goes on fails its checksum
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        return f"skipped: it cannot be unpacked ({one_line(error)})"
