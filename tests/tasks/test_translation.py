"""Translation of binary hydrides: who is refused, what is made, what is kept, the way between."""

import re
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core import checkpoint as checkpoints
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks import Verdict
from matgen_core.tasks import translation
from matgen_core.tasks.translation import Ternary, Translation
from matgen_core.tasks.translation.frameworks import frameworks, reduced
from matgen_core.tasks.translation.translating import nearest_metals
from tests.support.crystals import NACL, RUTILE
from tests.support.hydrides import MGH2, MGTIH4, NIH, PDH, TIH2, dihydride, monohydride, translator
from tests.support.writers import untrained

HALF = Structure(Lattice.cubic(4), [{"Ti": 0.5, "Mg": 0.5}, "H"], [[0, 0, 0], [0.5, 0.5, 0.5]])
RNG = np.random.default_rng(0)
LARGE = Structure(Lattice.cubic(9), ["Ti"] * 9 + ["H"] * 9, RNG.random((18, 3)))
MUCH_HYDROGEN = Structure(Lattice.cubic(9), ["Ti"] + ["H"] * 20, RNG.random((21, 3)))
LONE = Structure(Lattice.cubic(8), ["Ti"] + ["H"] * 13, RNG.random((14, 3)))  # two of its cells are too many atoms
REFUSED = [
    (NACL, MGH2, "the first crystal, NaCl, is no hydride: it holds no hydrogen"),
    (MGH2, RUTILE, "the second crystal, TiO2, is no hydride"),
    (MGTIH4, MGH2, "the first crystal, MgTiH4, is no binary hydride: it holds 2 elements beside hydrogen (Mg, Ti)"),
    (Structure(Lattice.cubic(3), ["H"], [[0, 0, 0]]), MGH2, "it holds hydrogen alone"),
    (Structure(Lattice.cubic(3), ["Ti"], [[0, 0, 0]]), MGH2, "the first crystal, Ti, is no hydride"),
    (monohydride("Cs", 6.4), MGH2, "Cs is in none of the hydrides that the network has learned from; it knows"),
    (MGH2, monohydride("Cl", 4.0), "Cl is in none of the hydrides"),
    (MGH2, HALF, "the second crystal has partially occupied sites"),
    (MGH2, dihydride("Mg", 5.0), "both crystals are hydrides of Mg; give hydrides of two metals"),
    (MGH2, LARGE, "has 9 metal and 9 hydrogen atoms in its primitive cell; there are slots for 8, 18, and 24 in all"),
    (MUCH_HYDROGEN, MGH2, "has 1 metal and 20 hydrogen atoms in its primitive cell"),
    (LONE, MGH2, "no supercell of it with two metal atoms or more fits into 24 sites"),
    (Structure(Lattice([[3, 0, 0], [3, 0, 0], [0, 0, 3]]), ["Ti", "H"], [[0] * 3, [0.5] * 3]), MGH2, "no volume"),
]


@pytest.mark.parametrize(("first", "second", "reason"), REFUSED, ids=[reason[:40] for _, _, reason in REFUSED])
def test_what_cannot_be_translated_is_refused_with_the_reason(first, second, reason: str) -> None:
    for do in (
        lambda: translation.translate(translator(), first, second, 3),
        lambda: translation.path(translator(), first, second),
    ):
        with pytest.raises(ValueError, match=re.escape(reason)) as error:
            do()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n": 0}, "0 tries; expected 1 to 10,000"),
        ({"n": -4}, "-4 tries"),
        ({"n": 10_001}, "10001 tries"),
        ({"share": 0.0}, "a share of 0 of the metal atoms"),
        ({"share": 1.0}, "a share of 1 of the metal atoms"),
        ({"share": -0.2}, "a share of -0.2"),
        ({"share": float("nan")}, "a share of nan"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(options, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        translation.translate(translator(), MGH2, TIH2, **({"n": 2} | options))


def test_a_checkpoint_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="tiny does not translate; take one of"):
        translation.translate(untrained(), MGH2, TIH2, 3)


def test_supercells_are_those_that_fit_the_most_compact_first_and_none_is_twice() -> None:
    cells = frameworks(reduced(TIH2), 8, 18, 24)
    sizes = [len(cell) // 3 for cell in cells]
    assert sizes == sorted(sizes)
    assert set(sizes) == set(range(2, 9))
    assert all(cell.volume == pytest.approx(TIH2.volume / 4 * size) for cell, size in zip(cells, sizes, strict=True))
    of_four = [cell for cell, size in zip(cells, sizes, strict=True) if size == 4]
    assert of_four[0].lattice.abc == pytest.approx((4.43, 4.43, 4.43))  # the cube is the most compact of its size
    assert len({tuple(np.round(cell.lattice.abc, 2)) + tuple(np.round(cell.lattice.angles)) for cell in of_four}) == 3
    assert [len(cell) for cell in frameworks(reduced(TIH2), 2, 18, 24)] == [6, 6, 6]
    assert not frameworks(reduced(TIH2), 8, 3, 24)


def test_tries_keep_their_place_and_hold_both_metals_and_all_hydrogen() -> None:
    told: list[int] = []
    made = translation.translate(translator(), MGH2, TIH2, 40, 3, progress=told.append)
    assert told == [32, 40]
    assert len(made.tries) == 40
    assert {each.framework for each in made.tries} == {"first", "second"}
    for each in made.tries:
        assert each.structure is not None
        counts = each.structure.composition.get_el_amt_dict()
        assert counts == {"Mg": each.n_metals - each.n_second, "Ti": each.n_second, "H": 2 * each.n_metals}
        assert each.formula == each.structure.composition.reduced_formula
        assert set(each.verdicts) == {"metal_distances", "strict_distances", "volume_per_atom_in_range"}
        said = float(each.verdicts["metal_distances"].reason.split()[3])
        assert said == pytest.approx(nearest_metals(each.structure).min(), abs=0.01)
    again = translation.translate(translator(), MGH2, TIH2, 40, 3)
    other = translation.translate(translator(), MGH2, TIH2, 40, 4)
    assert [each.structure for each in again.tries] == [each.structure for each in made.tries]
    assert [each.structure for each in other.tries] != [each.structure for each in made.tries]


def test_any_two_metals_are_translated_from_any_cell_of_theirs() -> None:
    supercell = PDH * (2, 1, 1)
    for first, second in ((PDH, NIH), (supercell, NIH), (TIH2, NIH), (dihydride("Y", 5.2), MGH2)):
        made = translation.translate(translator(), first, second, 4, 1)
        metals = {made.first.metal, made.second.metal}
        assert all({str(e) for e in each.structure.composition} == {*metals, "H"} for each in made.tries)
    same = [translation.translate(translator(), each, NIH, 4, 1) for each in (PDH, supercell)]
    assert [each.formula for each in same[0].tries] == [each.formula for each in same[1].tries]


def test_a_share_is_obeyed_as_nearly_as_the_cell_allows() -> None:
    made = translation.translate(translator(), MGH2, TIH2, 30, 0, share=0.25)
    for each in made.tries:
        exact = 0.25 * each.n_metals
        assert abs(each.n_second - exact) <= 0.5 or each.n_second in (1, each.n_metals - 1)
    assert {each.n_second for each in made.tries if each.n_metals == 8} == {2}


def test_the_volumes_are_those_of_the_two_crystals() -> None:
    """A larger hydride of the second metal makes larger ternaries."""
    small, large = (
        translation.translate(translator(), MGH2, dihydride("Ti", edge), 12, 0).tries for edge in (4.2, 4.7)
    )
    pairs = [(a, b) for a, b in zip(small, large, strict=True) if a.framework == "first"]
    assert pairs
    assert all(b.structure.volume > 1.02 * a.structure.volume for a, b in pairs)


def test_work_ends_where_progress_says_so() -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        translation.translate(translator(), MGH2, TIH2, 40, progress=stop)


def verdicts(*passed: bool) -> dict[str, Verdict]:
    return {str(i): Verdict(each, "") for i, each in enumerate(passed)}


def test_what_is_kept_is_good_each_crystal_once_and_the_most_real_first() -> None:
    base = Ternary(MGTIH4, "", "first", 1, 2, 0.0, verdicts(True, True))
    larger = MGTIH4.copy()
    larger.scale_lattice(1.1 * MGTIH4.volume)
    moved = MGTIH4.copy()
    moved.replace(0, "H")
    tries = (
        base,
        replace(base, structure=MGTIH4 * (2, 1, 1), realness=2.0),  # the same crystal, and more real
        replace(base, structure=larger, realness=1.0),  # likewise
        replace(base, structure=PDH, realness=3.0),
        replace(base, structure=NIH, realness=9.0, verdicts=verdicts(True, False)),
        replace(base, structure=None, realness=float("nan"), verdicts={}, problem="a cell of 0 Å^3"),
        replace(base, structure=TIH2, realness=8.0, verdicts=verdicts(False, True)),
    )
    made = Translation(translation.hydride(translator(), MGH2), translation.hydride(translator(), TIH2), 0, tries)
    assert [each.realness for each in made.kept] == [3.0, 2.0]
    table = translation.table(made)
    assert table["kept_as"].fillna(0).tolist() == [0, 2, 0, 1, 0, 0, 0]
    assert table["good"].tolist() == [True, True, True, True, False, False, False]
    assert table["problem"].iloc[5] == "a cell of 0 Å^3"
    assert table["metal_distances"].iloc[5] in (False, np.False_)


def test_the_way_leads_from_what_was_given_to_its_translation() -> None:
    steps = translation.path(translator(), MGH2, TIH2, 1)
    assert [each.kind for each in steps] == ["given", "ternary", "ternary", "ternary", "translated"]
    assert [each.share for each in steps] == [0, 0.25, 0.5, 0.75, 1]
    assert [each.structure.composition.reduced_formula for each in steps] == [
        "MgH2", "Mg3TiH8", "MgTiH4", "MgTi3H8", "TiH2",
    ]  # fmt: skip
    assert steps[0].structure.volume == pytest.approx(MGH2.volume)
    assert all(len(each.structure) == 12 for each in steps)
    own_of_one = translation.path(
        translator(), Structure(Lattice.cubic(7), ["Ti"] * 7 + ["H"] * 7, RNG.random((14, 3))), MGH2
    )
    assert len(own_of_one) == 8  # no cell of at most four metal atoms: its own


def test_examples_can_be_translated() -> None:
    for first, second in translation.examples(translator()).values():
        assert nearest_metals(reduced(first))[0] > 2
        assert len(translation.translate(translator(), first, second, 2).tries) == 2


def test_translators_are_told_by_what_a_checkpoint_says_of_itself() -> None:
    rows, _ = checkpoints.summaries()
    assert translation.translators() == [row["name"] for row in rows if "translate" in row["capabilities"]]


def test_a_saved_table_says_what_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = next(iter(checkpoints.names()))
    made = translation.translate(translator(), MGH2, TIH2, 2, 7)
    named: Checkpoint = replace(translator(), name=shipped)
    saved = translation.with_provenance(translation.table(made), named, made)
    assert saved["made_by"].tolist() == [shipped, shipped]
    assert '"seed": 7' in saved["made_with"].iloc[0]
