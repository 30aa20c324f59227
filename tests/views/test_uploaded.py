"""What is computed apart is what would be computed here, and whatever goes wrong there is a line of its file."""

import io
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import DummySpecies, Lattice, Structure

from matgen_core.checks import Verdict
from matgen_core.data import Upload, read_uploads
from matgen_core.data.structure_export import cif, poscar
from matgen_core.data.structure_files import StructureFile, file_of, plain_file
from matgen_core.materials import diffraction
from matgen_core.tasks.placement import KnownCrystals
from matgen_core.views.crystals import uploaded
from tests.support.crystals import RUTILE, rock_salt

MIXED = Structure(
    Lattice.from_parameters(3.1, 4.2, 5.3, 81, 92, 103),
    [{"Fe2+": 0.25, "Fe3+": 0.5}, "O2-", {"Na": 1 / 3}],
    [[0.1, 0.2, 1 / 3], [0.6, 0.7, 0.8], [-0.4, 1.25, 0]],
    labels=["Fe1", "O#2", "Na 3"],
)
LONG = "long\n1\n490 0 0\n0 1.5 0\n0 0 1.5\nNa\n1000\ndirect\n" + "".join(
    f"{x} {y} {z}\n" for x, y, z in np.random.default_rng(0).random((1_000, 3))
)  # a match takes a minute


def test_a_file_crosses_to_another_process_digit_by_digit() -> None:
    for structure in (MIXED, RUTILE, rock_salt(), None):
        file = StructureFile("a.cif", "a", structure, "" if structure else "why", ("one", "two"))
        back = file_of(plain_file(file))
        assert (back.name, back.stem, back.problem, back.notes) == (file.name, file.stem, file.problem, file.notes)
        if structure is None:
            assert back.structure is None
            continue
        assert back.structure is not None
        assert [site.species for site in back.structure] == [site.species for site in structure]
        assert back.structure.labels == structure.labels
        assert np.array_equal(back.structure.lattice.matrix, structure.lattice.matrix)
        assert np.array_equal(back.structure.frac_coords, structure.frac_coords)
    with pytest.raises(ValueError, match="Q"):
        file_of(plain_file(StructureFile("a", "a", Structure(Lattice.cubic(4), [DummySpecies("Q")], [[0, 0, 0]]))))


def answer_or_problem(compute: Callable[..., Any], name: str, *arguments: Any) -> Any:
    """What is computed, or why not: without 3Dmol.js, which npm brings, there is no web page."""
    try:
        return compute(name, *arguments)
    except ValueError as error:
        return str(error)


def test_every_figure_is_the_same_apart_and_here() -> None:
    salt, known = rock_salt(), KnownCrystals("salts", {"s-1": rock_salt()})
    pattern = "\n".join(f"{angle} {angle % 7}" for angle in range(10, 60)).encode()
    asked = {
        "read": ("a.cif", "a.cif", cif(RUTILE).encode()),
        "scene": (RUTILE,),
        "film": ([RUTILE, RUTILE],),
        "still": (RUTILE, 100),
        "summary": ({"a": RUTILE, "b": MIXED}, 0.1),
        "sites": (RUTILE, 0.1),
        "symmetry": (RUTILE, 0.1),
        "comparison": (RUTILE, {"same": RUTILE, "other": salt}),
        "reflections": (RUTILE, "CuKa", (5.0, 90.0)),
        "pattern": (pattern, "a.xy"),
        "cif": (RUTILE,),
        "poscar": (RUTILE,),
        "extended_xyz": (RUTILE,),
        "web_page": (RUTILE,),
        "chemiscope": ({"a": RUTILE}, "a file"),
        "primitive": (RUTILE * (2, 1, 2),),
        "novelty": (salt, known, ()),
    }
    assert set(asked) == set(uploaded.FIGURES)
    for name, arguments in asked.items():
        apart, here = (answer_or_problem(compute, name, *arguments) for compute in (uploaded.apart, uploaded.here))
        assert type(apart) is type(here)
        if isinstance(here, pd.DataFrame):
            pd.testing.assert_frame_equal(apart, here)
        elif isinstance(here, diffraction.Measured):
            assert np.array_equal(apart.two_theta, here.two_theta)
            assert np.array_equal(apart.intensity, here.intensity)
        elif name in ("scene", "film", "read"):
            assert repr(apart).replace("(", "[").replace(")", "]") == repr(here).replace("(", "[").replace(")", "]")
        else:  # 3Dmol numbers its pages by the clock
            assert re.sub(r"\d{12,}", "", str(apart)) == re.sub(r"\d{12,}", "", str(here))
    empty = uploaded.apart("reflections", RUTILE, "CuKa", (2.0, 3.0))
    pd.testing.assert_frame_equal(empty, uploaded.here("reflections", RUTILE, "CuKa", (2.0, 3.0)))
    with pytest.raises(ValueError, match="known are CuKa"):
        uploaded.apart("reflections", RUTILE, "XKa", (2.0, 3.0))


def test_files_are_read_apart_as_they_are_here_and_a_hard_one_is_its_own_line() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("b.vasp", poscar(RUTILE))
        packed.writestr("notes.txt", "hello")
    files = [
        Upload("a.cif", cif(RUTILE).encode()),
        Upload("a.cif", b"data_x\n" + b"_x '" * 2_000_000),  # its words take 2 GB
        Upload("thin.vasp", b"x\n1\n1e6 0 0\n0 4 0\n0 0 4\nNa\n1\ndirect\n0 0 0\n"),
        Upload("c.zip", archive.getvalue()),
    ]
    found = uploaded.read_apart(files)
    here = read_uploads([files[0], *files[2:]])
    assert found[1].name == "a.cif (2)"
    assert found[1].problem == "not read: it takes more than 1,000 MB of memory, and was ended"
    others = [found[0], *found[2:]]
    assert [(each.name, each.stem, each.problem, each.notes) for each in others] == [
        (each.name, each.stem, each.problem, each.notes) for each in here
    ]
    assert [each.structure for each in others] == [each.structure for each in here]


def test_an_upload_that_takes_too_long_keeps_what_was_read() -> None:
    found = uploaded.read_apart([Upload("a.cif", cif(RUTILE).encode())] * 3, seconds=0)
    assert [each.problem for each in found] == [
        "not read: this upload has taken 0 seconds; give the rest in a second go"
    ] * 3


def test_a_comparison_with_what_is_known_that_takes_too_long_is_undecided() -> None:
    (long,) = read_uploads([Upload("long.vasp", LONG.encode())])
    assert long.structure is not None
    metal = Structure(Lattice.cubic(4.2), ["Na", "Na"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    verdict = uploaded.novelty_apart(long.structure, KnownCrystals("x", {"metal": metal}), ())
    assert verdict == Verdict(None, "not compared with what is known: it takes more than 7 seconds, and was ended")
