"""Translate, on the page Crystals: two hydrides are chosen and become ternary ones, with the way between them."""

from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.data import StructureFile
from matgen_core.networks.models import MODELS
from matgen_core.networks.models.crystalgan import CrystalGAN, CrystalGANConfig
from matgen_core.representations import PointCloud
from matgen_core.tasks import translation
from matgen_core.tasks.crystals import sampling, translated
from matgen_core.tasks.crystals.translated import Pair
from pages._parts.components import crystal_viewer
from pages._parts.shared import bench_crystals
from tests.support.crystals import rock_salt
from tests.support.page_checks import page, said, seen, whole
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("fresh_caches")

METALS = ("Mg", "Ti", "Pd", "Ni")
LINK = "hydrides,n=6,seed=1,first=ideal-PdH,second=ideal-NiH"


@pytest.fixture(autouse=True)
def hydrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """The only checkpoint there is: an untrained network that translates; no data set is installed."""
    torch.manual_seed(0)
    monkeypatch.setitem(MODELS.data, "crystalgan", f"{CrystalGAN.__module__}:CrystalGAN")  # shipped or not
    config = CrystalGANConfig(metals=METALS, n_sources=2, max_sites=16, slots=(4, 4, 8), width=16, layers=1)
    model = CrystalGAN(config).eval()
    model.radii.copy_(torch.tensor([0.4, 1.4, 1.4, 1.3, 1.2]))
    model.volumes.copy_(torch.tensor([2.5, 22.0, 17.0, 15.0, 11.0]))
    made = Checkpoint(
        name="hydrides",
        model_name="crystalgan",
        model=model,
        representation=PointCloud(("Mg", "Ti", "H"), config.slots),
        metrics={"headline": {"figure": "", "ours": "", "paper": ""}},
        card="",
        provenance={"title": "", "system": "", "level": "structure", "datasets": {}},
    )
    monkeypatch.setenv("MATGEN_CHECKPOINTS", str(tmp_path / "made"))
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(crystal_viewer, "viewer_problem", lambda: None)
    checkpoint.save(made, tmp_path / "made" / "hydrides")
    return checkpoint.load("hydrides")


def finished(test: AppTest, *errors: str) -> AppTest:
    def is_whole() -> bool:
        test.run()
        return not any(each.label == "Cancel" for each in test.button)

    assert until(is_whole, 60)
    return whole(test, *errors)


def formulas(test: AppTest) -> list[str]:
    return [seen(each.label).strip("*") for each in test.button if str(each.key).startswith("closer_")]


def test_a_link_holds_the_pair() -> None:
    for pair in (Pair("m", "ideal-PdH", "ideal-NiH"), Pair("m", "upload:0a1b", "TiH2-mp-24161", 200, 2**31 - 1)):
        assert Pair.read(str(pair)) == pair
    for text in ("", "m", "m,first=a", "m,second=b", "m,first=a,second=b,third=c", "m,first=a,second=b,n=0", "m,n=x"):
        with pytest.raises(ValueError, match=r"translates nothing|asks for no crystals") as caught:
            Pair.read(text)
        assert "\n" not in str(caught.value)


def test_samples_are_the_tries_of_the_translation(hydrides: Checkpoint) -> None:
    first, second = translated.binaries(hydrides)["ideal-PdH"], translated.binaries(hydrides)["ideal-NiH"]
    pair = Pair("hydrides", "ideal-PdH", "ideal-NiH", 8, 3)
    found = list(translated.samples(hydrides, pair, first, second))
    done = translation.translate(hydrides, first, second, 8, 3)
    assert [each.structure for each in found] == [each.structure for each in done.tries]
    assert sum(each.row["kept"] for each in found) == len(done.kept)
    best = min((each for each in found if each.structure), key=lambda each: each.row["realness_place"])
    assert best.structure == max(done.tries, key=lambda each: each.realness).structure
    for each, tried in zip(found, done.tries, strict=True):
        if tried.structure is not None:
            assert each.row["metal_distances"] == tried.verdicts["metal_distances"].passed
        assert each.row["share_of_second"] == tried.n_second / tried.n_metals
    table = sampling.table(found, pair)
    assert table["asked_first"].eq("ideal-PdH").all()
    way = translated.way(hydrides, pair, first, second)
    assert way[0][1].structure is not None
    assert way[0][1].structure.composition.chemical_system == "H-Pd"
    assert way[-1][1].structure is not None
    assert way[-1][1].structure.composition.reduced_formula == second.composition.reduced_formula


def test_two_hydrides_become_ternary_ones_beside_the_way_between_them() -> None:
    test = whole(page("crystals").run())
    test.segmented_control(key="crystals_way").set_value("Translate").run()
    assert "What you get" in said(test)
    test.selectbox(key="first_hydride").set_value("ideal-PdH")
    test.selectbox(key="second_hydride").set_value("ideal-NiH")
    test.number_input(key="tries").set_value(6)
    test.number_input(key="translation_seed").set_value(1).run()
    next(each for each in test.button if each.label == "Translate").click().run()
    finished(test)
    link = test.query_params["translated"]
    assert link in (LINK, [LINK])
    shown = said(test)
    assert "the first, as given" in shown
    assert "the second, as given" in shown
    assert "of the metal exchanged" in shown
    assert len(formulas(test)) == 6
    assert "metal distances" in shown
    again = finished(page("crystals", translated=LINK))
    assert formulas(again) == formulas(test)
    assert again.selectbox(key="second_hydride").value == "ideal-NiH"


def test_what_cannot_be_translated_is_refused_with_the_reason() -> None:
    same = page("crystals", translated="hydrides,n=2,seed=0,first=ideal-PdH,second=ideal-PdH").run()
    whole(same, "both crystals are hydrides of Pd")
    for link, words in {
        "hydrides,n=2,seed=0,first=nothing,second=ideal-PdH": "'nothing' is no hydride here",
        "other,n=2,seed=0,first=ideal-PdH,second=ideal-NiH": "'other' translates nothing here",
        "hydrides": "translates nothing",
    }.items():
        whole(page("crystals", translated=link).run(), words)
    test = page("crystals", crystals_way="Translate")
    files = [StructureFile("salt.cif", "salt", rock_salt()), StructureFile("own.cif", "own", rock_salt("Ti", "H", 4.5))]
    test.session_state["uploads"] = {}
    test.run()
    digests = []
    for file in files:
        digest = bench_crystals.bench.digest(file.name, file.structure)
        test.session_state["uploads"][digest] = file
        digests.append(f"upload:{digest}")
    test.run()
    test.selectbox(key="first_hydride").set_value(digests[0]).run()
    next(each for each in test.button if each.label == "Translate").click().run()
    whole(test, "is no hydride: it holds no hydrogen")
    test.selectbox(key="first_hydride").set_value(digests[1]).run()
    test.number_input(key="tries").set_value(2).run()
    next(each for each in test.button if each.label == "Translate").click().run()
    finished(test)
    assert len(formulas(test)) == 2


def test_without_a_network_that_translates_there_is_no_such_choice(
    crystal_map: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = whole(page("crystals").run())
    keys = [each.key for each in test.segmented_control]
    names = [each["name"] for each in checkpoint.summaries()[0]]
    assert ("crystals_way" in keys) == ("hydrides" in names)
