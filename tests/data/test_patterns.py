"""Measured powder patterns: the same pattern however it is written, or one line."""

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from matgen_core.data.patterns import MAX_BYTES, read_pattern

N = 60
ANGLES = np.round(12 + 0.05 * np.arange(N), 2)
COUNTS = np.round(40 + 900 * np.exp(-(((ANGLES - 13.4) / 0.1) ** 2)), 1)
HEAD = "Probe: MgO, 25 °C\nWinkel °2θ\tImpulse\n"


def text(
    between: str, comma: bool = False, head: str = "", end: str = "\n", behind: str = "", numbers: str = ".2f"
) -> str:
    """The pattern as text."""
    rows = []
    for angle, counts in zip(ANGLES, COUNTS, strict=True):
        row = [f"{angle:{numbers}}", f"{counts:.1f}"]
        rows.append(between.join(each.replace(".", ",") if comma else each for each in row) + behind)
    return head + end.join(rows) + end


def xrdml() -> bytes:
    """The pattern as Malvern Panalytical's instruments write it."""
    return (
        '<?xml version="1.0"?><xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.3"><xrdMeasurement><scan>'
        '<dataPoints><positions axis="2Theta" unit="deg">'
        f"<startPosition>{ANGLES[0]}</startPosition><endPosition>{ANGLES[-1]}</endPosition></positions>"
        '<commonCountingTime unit="seconds">1</commonCountingTime>'
        f'<intensities unit="counts">{" ".join(map(str, COUNTS))}</intensities>'
        "</dataPoints></scan></xrdMeasurement></xrdMeasurements>"
    ).encode()


def ras() -> bytes:
    """The pattern as Rigaku's instruments write it."""
    head = '*RAS_DATA_START\n*RAS_HEADER_START\n*FILE_COMMENT ""\n*RAS_HEADER_END\n*RAS_INT_START\n'
    return (text(" ", head=head, behind=" 1.0") + "*RAS_INT_END\n*RAS_DATA_END\n").encode()


def uxd() -> bytes:
    """The pattern as Bruker's instruments write it."""
    head = f"_FILEVERSION = 2\n_DRIVE=COUPLED\n_STEPSIZE = 0.05\n_START = {ANGLES[0]}\n_2THETA = {ANGLES[0]}\n_COUNTS\n"
    return (head + "\n".join(map(str, COUNTS))).encode()


def archive(name: str, content: bytes) -> bytes:
    """A zip archive with one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, content)
    return buffer.getvalue()


def stepped() -> str:
    """The pattern as FullProf reads it: start, step and end, then intensities alone."""
    rows = [" ".join(f"{each:.1f}" for each in COUNTS[at : at + 10]) for at in range(0, N, 10)]
    return f"{ANGLES[0]} 0.05 {ANGLES[-1]}\n" + "\n".join(rows) + "\n"


READ: dict[str, tuple[str | bytes | Callable[[], bytes], str]] = {
    "tabs": (text("\t"), "a.xy"),
    "tabs and decimal commas": (text("\t", True), "a.xy"),
    "spaces and decimal commas": (text(" ", True), "a.txt"),
    "many spaces and decimal commas": (text("     ", True), "a.asc"),
    "semicolons and decimal commas": (text(";", True), "a.csv"),
    "semicolons, blanks and decimal commas": (text(" ; ", True), "a.csv"),
    "commas": (text(","), "a.csv"),
    "commas and blanks": (text(", "), "a.csv"),
    "quoted decimal commas": ("\n".join(f'"{line}"' for line in text('","', True).splitlines()), "a.csv"),
    "decimal commas and a third column": (text("\t", True, behind="\t0,5"), "a.xye"),
    "decimal commas and whole counts": (text("\t", True).replace(",0\n", "\n"), "a.xy"),
    "exponents with decimal commas": (text("\t", True, numbers=".3e"), "a.dat"),
    "header in UTF-8": (text("\t", True, HEAD), "a.xy"),
    "header in Latin-1": (text("\t", head="Probe: MgO, 25 °C, Kα\n".replace("α", "a")).encode("latin-1"), "a.xy"),  # noqa: RUF001
    "header of Windows, decimal commas": (text("\t", True, "Größe 10 µm – 25 °C\n").encode("cp1252"), "a.xy"),  # noqa: RUF001
    "UTF-16": (text("\t", True, HEAD).encode("utf-16"), "a.txt"),
    "old Macintosh": (text("\t", True, end="\r"), "a.xy"),
    "comments": (text("\t", head="# by hand\n! 1 2\n"), "a.dat"),
    "words behind": (text("\t") + "end of scan\n", "a.xy"),
    "number of points before": (text(" ", head=f"{N}\n"), "a.dat"),
    "falling": ("\n".join(reversed(text("\t", True).splitlines())), "a.xy"),
    "start, step, end": (stepped(), "a.dat"),
    "xrdml": (xrdml, "a.xrdml"),
    "ras": (ras, "A.RAS"),
    "uxd": (uxd, "a.uxd"),
}
REFUSED: dict[str, tuple[str | bytes | Callable[[], bytes], str, str]] = {
    "commas for both": (text(",", True), "a.csv", "commas stand between its columns and as decimal signs"),
    "thousands": (text(" ").replace(" 40.0", " 1.040,0"), "a.xy", "commas within its numbers"),
    "a word in a row": (text("\t").replace("12.50\t", "12.50\tn/a\t"), "a.xy", "line 11: '12.50"),
    "a number lost": (text("\t", True).replace("12,50\t40,0", "12,50"), "a.xy", "line 11: '12,50'; expected two"),
    "NaN": (text(" ").replace("12.50 40.0", "12.50 nan"), "a.xy", "line 11: '12.50 nan'"),
    "no finite number": (text(" ").replace("12.50 40.0", "12.50 1e999"), "a.xy", "a number that is not finite"),
    "two scans": (text(" ") + "second scan\n" + text(" "), "a.xy", "line 61: 'second scan'"),
    "two scans without a word": (text(" ") + text(" "), "a.xy", "its angles do not rise (point 61: 12 after 14.95)"),
    "columns changed": ("\n".join(f"{c} {a}" for a, c in zip(ANGLES, COUNTS, strict=True)), "a.xy", "do not"),
    "one column": ("\n".join(map(str, COUNTS)), "a.xy", "0 lines with two numbers"),
    "header alone": (HEAD, "a.xy", "0 lines with two numbers"),
    "binary": (b"\0\1\2" * 50, "a.xy", "it is no text; export the pattern"),
    "unknown format": (b"\0\1\2" * 50, "a.brukerdoc", ".brukerdoc is not read; expected .xy"),
    "no raw": (b"\0\1\2" * 50, "a.raw", "no readable .raw pattern"),
    "raw cut off": (b"RAW1.01\0" + b"\xff" * 900, "a.raw", "no readable .raw pattern"),
    "xrdml cut off": (lambda: xrdml()[:400], "a.xrdml", "no readable .xrdml pattern"),
    "entities": (
        lambda: xrdml().replace(b"?>", b'?><!DOCTYPE a [<!ENTITY b "9 9 9">]>', 1).replace(b"40.0", b"&b;"),
        "a.xrdml",
        "no readable .xrdml pattern",
    ),
    "a bomb": (lambda: archive("Data0/Profile0.txt", b"0" * 60_000_000), "a.rasx", "an archive of 1 files and 60 MB"),
    "no archive": (b"PK\3\4 nothing", "a.brml", "no readable archive"),
    "too large": (b"1 2\n" * (MAX_BYTES // 4 + 1), "a.xy", "5.0 MB; a pattern may have up to 5 MB"),
}


def made(content: str | bytes | Callable[[], bytes]) -> bytes:
    """The bytes of a file."""
    if isinstance(content, str):
        return content.encode()
    return content if isinstance(content, bytes) else content()


def test_a_pattern_is_the_same_however_it_is_written() -> None:
    for kind, (content, name) in READ.items():
        found = read_pattern(made(content), name)
        np.testing.assert_allclose(
            found.two_theta, ANGLES, atol=1e-9 if "exponent" not in kind else 0.005, err_msg=kind
        )
        np.testing.assert_allclose(found.intensity, COUNTS, atol=1e-9, err_msg=kind)


def test_what_is_no_pattern_is_refused_in_one_line() -> None:
    for kind, (content, name, reason) in REFUSED.items():
        with pytest.raises(ValueError, match=rf"^{name}: ") as refused:
            read_pattern(made(content), name)
        assert reason in str(refused.value), kind
        assert "\n" not in str(refused.value), kind
