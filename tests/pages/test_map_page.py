"""The latent map page without a browser: links, elements, clusters, own maps, and what stands beside a selection."""

import json
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from matgen_core import checkpoint
from matgen_core.latent import projection
from matgen_core.latent.projection import ProjectionSettings
from matgen_core.latent.selection import Lasso, extend
from matgen_core.views.maps import link as view_link
from matgen_core.views.maps.framing import Camera
from matgen_core.views.maps.link import View
from tests.support.page_checks import handed_to, page, said, seen, whole

pytestmark = pytest.mark.usefixtures("fresh_caches")

TRIANGLE = Lasso(np.array([[-2.0, -2.0], [2.5, -2.0], [0.0, 2.5]]), "new")


def chosen_by(crystals: checkpoint.Checkpoint, where: str = "umap") -> Any:
    """What the triangle selects on a map of the crystals."""
    assert crystals.index is not None
    places = crystals.index[[f"{where}_x", f"{where}_y"]].to_numpy()
    chosen = extend(None, places, TRIANGLE, where)
    assert chosen is not None
    assert 5 < chosen.mask.sum() < 55
    return chosen


def view(**changes: Any) -> str:
    values: dict[str, Any] = {
        "model": "crystals",
        "ranges": "formation_energy_per_atom:-10:10",
        "projection": "pca",
        "color": "element",
        "element": "F",
        "search": "n<=2",
        "never": ("K",),
        "at": "mp-3",
        "camera": Camera(0.5, -0.25, 3.0),
        "outlines": (("umap", TRIANGLE),),
    }
    return view_link.encode(View(**(values | changes)))


def test_a_link_reopens_the_view_and_the_address_keeps_it(crystal_map: checkpoint.Checkpoint) -> None:
    assert crystal_map.index is not None
    chosen = chosen_by(crystal_map)
    kept = chosen.mask & ~crystal_map.index["formula"].str.contains("K").to_numpy()
    test = page("latent_map", view=view()).run()
    whole(test, "")  # the untrained network decodes nothing
    assert f"Selected by lasso: {kept.sum()} crystals" in said(test)
    assert f"Showing {kept.sum()} of 60 known crystals" in said(test)
    assert test.selectbox(key="projection").value == "pca"
    assert (test.selectbox(key="color").value, test.selectbox(key="element").value) == ("element", "F")
    assert test.text_input(key="find").value == "n<=2"
    assert test.subheader[0].value == "NaF"
    address = {key: test.query_params[key] for key in ("at", "never", "camera", "outlines")}
    assert "view" not in test.query_params
    assert address["camera"] == "crystals,pca,0.5,-0.25,3.0"
    again = page(
        "latent_map",
        map="crystals",
        **{key: value[0] if isinstance(value, list) else value for key, value in address.items()},
    ).run()
    assert f"Selected by lasso: {kept.sum()} crystals" in said(again)  # after a reload


def test_the_page_offers_the_link_to_what_it_shows(crystal_map: checkpoint.Checkpoint) -> None:
    text = view()
    test = page("latent_map", view=text).run()
    link = handed_to(test, "copy_button")[0]["text"]
    assert view_link.decode(link.partition("view=")[2]) == view_link.decode(text)
    shown = view_link.decode(link.partition("view=")[2]).outlines[0][1].polygon
    np.testing.assert_allclose(shown, TRIANGLE.polygon, atol=1e-3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rubbish", "this link to a view cannot be read"),
        (view(model="elsewhere"), "this link shows a map of 'elsewhere', which is not here; here are crystals"),
        (view(outlines=(("tsne", TRIANGLE),)), "drawn on the map 'tsne', which is not here; here are umap, pca"),
        (view(never=("Xx",)), "'Xx' is no element"),
        (view(ranges="taste:0:1"), "no values of 'taste' here; those are"),
    ],
)
def test_a_link_that_cannot_be_opened_costs_one_line(
    crystal_map: checkpoint.Checkpoint, text: str, problem: str
) -> None:
    test = page("latent_map", view=text).run()
    whole(test, "")
    assert problem in seen(test.error[0].value)
    assert "Showing 60 of 60" in said(test)


def test_a_link_to_a_projection_or_color_that_is_not_here_opens_what_is(crystal_map: checkpoint.Checkpoint) -> None:
    test = page("latent_map", view=view(projection="own-1", color="hardness", at="", outlines=(), never=())).run()
    whole(test)
    assert test.selectbox(key="projection").value == "umap"
    assert test.selectbox(key="color").value == "family"


def test_elements_filter_beside_the_search(crystal_map: checkpoint.Checkpoint) -> None:
    test = page("latent_map", holds="Na", never="Cl").run()
    whole(test)
    assert crystal_map.index is not None
    n = crystal_map.index["formula"].isin(["NaF", "NaBr"]).sum()
    assert f"Showing {n} of 60 known crystals" in said(test)
    test.text_input(key="find").set_value("has:Br").run()
    assert f"Found: {(crystal_map.index['formula'] == 'NaBr').sum()} crystals" in said(test)
    whole(page("latent_map", holds="Xx").run(), "")


def select(test: AppTest, crystals: checkpoint.Checkpoint) -> AppTest:
    """Put a selection into a session, as the map does."""
    test.session_state["selection"] = ("crystals", chosen_by(crystals))
    return test


def test_a_selection_is_held_against_the_rest(crystal_map: checkpoint.Checkpoint) -> None:
    chosen = chosen_by(crystal_map)
    test = select(page("latent_map"), crystal_map).run()
    whole(test)
    z = np.stack(crystal_map.index["z"].to_numpy()).astype(np.float32)  # type: ignore[index]
    outside = projection.share_outside(projection.nearest(z), chosen.mask)
    assert f"{outside:.0%} of the 15 true neighbors of the points in your outlines lie outside them" in said(test)
    view = next(each for each in test.button_group if each.key == "selection_view")
    view.set_value("Compared with the rest").run()
    whole(test)
    assert "Cliff's δ" in said(test)
    assert "of the selected" in said(test)


def test_crystals_of_a_selection_become_a_zip_with_a_row_for_each(crystal_map: checkpoint.Checkpoint) -> None:
    chosen = chosen_by(crystal_map)
    test = select(page("latent_map"), crystal_map).run()
    next(each for each in test.button if each.label == "Decode to CIF files").click().run()
    whole(test)
    (_, about), packed = test.session_state["cif_zip"]
    assert json.loads(about)["n_selected"] == chosen.mask.sum()
    assert packed.startswith(b"PK")
    assert any(each.label == f"Save {chosen.mask.sum()} crystals (zip)" for each in test.get("download_button"))


def test_clusters_color_the_map(crystal_map: checkpoint.Checkpoint) -> None:
    whole(page("latent_map", color="Cluster in latent space").run())


def test_an_own_map_is_one_more_projection_with_its_grades(crystal_map: checkpoint.Checkpoint) -> None:
    z = np.stack(crystal_map.index["z"].to_numpy()).astype(np.float32)  # type: ignore[index]
    member = np.arange(60) < 50
    made = projection.projected(z[member], ProjectionSettings("pca", seed=7))
    test = page("latent_map", at="mp-55")
    test.session_state["own_maps"] = {
        ("crystals", checkpoint.fingerprint("crystals")): {"own-1": projection.subset_map(z, member, made)}
    }
    test.session_state["next_projection"] = "own-1"
    test.run()
    whole(test, "")
    assert test.selectbox(key="projection").value == "own-1"
    shown = said(test)
    assert "PCA, mine 1: seed 7, of 50 points; the others are gray" in shown
    assert f"trustworthiness {made.trustworthiness:.2f}" in shown
    assert "It did not shape this map" in shown
    assert not handed_to(test, "copy_button")[0]["problem"]
    test.session_state["selection"] = ("crystals", extend(None, z[:, :2], TRIANGLE, "own-1"))
    test.run()
    assert "drawn on a map that you made" in handed_to(test, "copy_button")[0]["problem"]


def test_a_map_that_was_graded_says_so_in_words() -> None:
    shown = said(page("latent_map", map="phase_field_vae").run())
    grades = checkpoint.load("phase_field_vae").metrics["maps"]["maps"]["umap"]
    assert f"trustworthiness {grades['trustworthiness']:.2f}" in shown
    assert f"continuity {grades['continuity']:.2f}" in shown
    assert f"{grades['stability']:.0%} of its neighbors here would be there with another seed" in shown
    whole(page("latent_map", map="phase_field_vae", color="Stability over seeds").run())


def test_a_search_opens_its_first_hit_and_goes_on_from_hit_to_hit(crystal_map: checkpoint.Checkpoint) -> None:
    assert crystal_map.index is not None
    ids = list(crystal_map.index["id"])
    rows = [row for row, formula in enumerate(crystal_map.index["formula"]) if formula == "NaF"]
    test = page("latent_map").run()
    test.text_input(key="find").set_value("NaF").run()
    whole(test, "")  # the untrained network decodes nothing
    assert f"NaF: {len(rows)} of 60 crystals; hit 1 is open, {ids[rows[0]]}" in words(test)
    assert "".join(test.query_params["at"]) == ids[rows[0]]
    assert "".join(test.query_params["camera"]).startswith("crystals,umap,")
    places = crystal_map.index.loc[rows, ["umap_x", "umap_y"]].to_numpy()
    x, y, span = map(float, "".join(test.query_params["camera"]).split(",")[2:])
    assert (np.abs(places - (x, y)) <= span / 2).all()  # all hits are in view
    button(test, "Next").click().run()
    assert f"hit 2 is open, {ids[rows[1]]}" in words(test)
    button(test, "Previous").click().run()
    button(test, "Previous").click().run()
    assert f"hit {len(rows)} is open, {ids[rows[-1]]}" in words(test)  # round to the last
    test.text_input(key="find").set_value(ids[7]).run()
    assert f"{ids[7]}: 1 of 60 crystals, {ids[7]}; card opened" in words(test)
    test.text_input(key="find").set_value("mp-99999999").run()
    assert "no material with the id 'mp-99999999' here" in seen(test.error[0].value)
    test.text_input(key="find").set_value("Zr2O").run()
    assert "No crystal on this map keeps to the line." in words(test)


def test_what_hides_a_hit_is_said_and_dropped_by_one_click(crystal_map: checkpoint.Checkpoint) -> None:
    test = page("latent_map", never="Na", ranges="formation_energy_per_atom:5:6").run()
    test.text_input(key="find").set_value("NaF").run()
    assert "The element filter hides" in words(test)
    assert "The filter by values hides" in words(test)
    assert "Not among what is shown" in words(test)
    button(test, "Drop the element filter").click().run()
    assert "The element filter hides" not in words(test)
    button(test, "Drop the filter by values").click().run()
    assert "hides" not in words(test)
    assert "Not among what is shown" not in words(test)


def test_kinds_of_structures_and_suggestions(crystal_map: checkpoint.Checkpoint) -> None:
    assert crystal_map.index is not None
    n = int((crystal_map.index["space_group_number"] == 225).sum())
    test = page("latent_map").run()
    for text in ("Rock SALT", "fm-3m", "group:225", "halite"):
        test.text_input(key="find").set_value(text).run()
        assert f"{text}: {n} of 60 crystals" in words(test)
    test.text_input(key="find").set_value("has:F rocksal").run()
    assert "'rocksal' is no element, formula or search term (is it rocksalt?)" in seen(test.error[0].value)
    next(each for each in test.button if seen(each.label) == "Search has:F rocksalt").click().run()
    assert test.text_input(key="find").value == "has:F rocksalt"
    assert "has:F rocksalt: " in words(test)


def test_a_range_of_values_filters_and_is_a_chip(crystal_map: checkpoint.Checkpoint) -> None:
    assert crystal_map.index is not None
    edge = crystal_map.index["formation_energy_per_atom"]
    low, high = float(edge.quantile(0.2)), float(edge.quantile(0.6))
    test = page("latent_map", ranges=f"formation_energy_per_atom:{low}:{high}").run()
    whole(test)
    n = int(edge.between(low, high).sum())
    assert 0 < n < 60
    assert f"Showing {n} of 60" in words(test)
    assert handed_to(test, "value_brush")[0]["chosen"] == pytest.approx([low, high])
    button(test, "Formation energy").click().run()
    assert "Showing 60 of 60" in words(test)
    whole(page("latent_map", ranges="formation_energy_per_atom:2:1").run(), "is no range")


def test_how_a_map_was_made_is_one_click_away(crystal_map: checkpoint.Checkpoint) -> None:
    shown = words(page("latent_map").run())
    assert "Method UMAP" in shown
    assert "15 neighbors, least distance 0.1, euclidean, seed 0" in shown
    assert "Points 60" in shown


def button(test: AppTest, label: str) -> Any:
    return next(each for each in test.button if seen(each.label).startswith(label))


def words(test: AppTest) -> str:
    """What a page says, without what makes a word fat."""
    return said(test).replace("**", "")
