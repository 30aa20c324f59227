"""What benchmarks write into docs/speed.md: their own section and nothing else."""

from pathlib import Path

import pytest

from benchmarks.report import FILE, publish, table

TEXT = "# Speed\n\n<!-- one -->\n\nold\n\n<!-- end -->\n\nBetween.\n\n<!-- two -->\n<!-- end -->\n"


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "speed.md"
    file.write_text(TEXT)
    publish("two", "A rate of \\1 is:", table(["what", "rate"], [("this", "5"), ("that", "")]), file=file)
    block = "A rate of \\1 is:\n\n| what | rate |\n| --- | --: |\n| this | 5 |\n| that | |"
    assert file.read_text() == TEXT.replace("<!-- two -->\n", f"<!-- two -->\n\n{block}\n\n")
    assert capsys.readouterr().out == f"{block}\n"
    publish("one", "new", file=file)
    publish("one", "new", file=file)  # again is the same
    assert file.read_text().startswith("# Speed\n\n<!-- one -->\n\nnew\n\n<!-- end -->\n\nBetween.")
    assert block in file.read_text()


def test_a_section_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "speed.md"
    file.write_text(TEXT)
    with pytest.raises(ValueError, match=r"speed\.md has no section between <!-- three --> and <!-- end -->"):
        publish("three", "new", file=file)
    assert file.read_text() == TEXT


def test_every_benchmark_has_its_section() -> None:
    written = FILE.read_text() + (FILE.parent / "pages.md").read_text()
    names = [line[5:-4] for line in written.splitlines() if line.startswith("<!-- ") and line != "<!-- end -->"]
    code = "".join(path.read_text() for path in (FILE.parents[1] / "benchmarks").rglob("*.py"))
    assert names
    for name in names:
        assert f'publish(\n        "{name}"' in code or f'publish("{name}"' in code, name
    assert code.count("    publish(") == len(names)
