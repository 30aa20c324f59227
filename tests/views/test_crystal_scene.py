"""What is drawn of a crystal: images, bonds, polyhedra, measures, files."""

import json
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser
from pymatgen.io.vasp import Poscar

from matgen_core.data.structure_export import chemiscope_json, cif, extended_xyz, poscar
from matgen_core.materials import bonds
from matgen_core.materials.bonds import Bond, Image, bonding
from matgen_core.views.crystals import picture, web_page
from matgen_core.views.crystals import scene as crystal_scene
from matgen_core.views.crystals.scene import BOUNDARY, COMPLETING, IN_CELL, AtomReference
from tests.support.crystals import RUTILE, of_group

ROCK_SALT = of_group("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
PEROVSKITE = of_group("Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]])
HEUSLER = of_group("Fm-3m", Lattice.cubic(5.654), ["Co", "Mn", "Si"], [[0.25, 0.25, 0.25], [0, 0, 0], [0.5, 0.5, 0.5]])
SILICON = of_group("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0, 0, 0]])
LAYERED = of_group(
    "P6_3/mmc", Lattice.hexagonal(3.16, 12.29), ["Mo", "S"], [[1 / 3, 2 / 3, 0.25], [1 / 3, 2 / 3, 0.621]]
)
SKEW = Structure(
    Lattice.from_parameters(4.1, 5.3, 6.7, 75, 82, 110),
    ["Li", "Fe", "O", "O"],
    [[0.03, 0.2, 0.9], [0.55, 0.61, 0.4], [0.3, 0.8, 0.1], [0.9, 0.35, 0.62]],
)


def coordination(structure: Structure, bonds: tuple[Bond, ...]) -> dict[str, set[int]]:
    counts = Counter(site for i, j, _ in bonds for site in (i, j))
    found: dict[str, set[int]] = {}
    for i, site in enumerate(structure):
        found.setdefault(site.specie.symbol, set()).add(counts[i])
    return found


KNOWN = [
    pytest.param(ROCK_SALT, {"Na": {6}, "Cl": {6}}, id="rock salt"),
    pytest.param(RUTILE, {"Ti": {6}, "O": {3}}, id="rutile"),
    pytest.param(PEROVSKITE, {"Sr": {0}, "Ti": {6}, "O": {2}}, id="perovskite"),
    pytest.param(HEUSLER, {"Co": {8}, "Mn": {8}, "Si": {8}}, id="Heusler"),
    pytest.param(SILICON, {"Si": {4}}, id="silicon"),
    pytest.param(LAYERED, {"Mo": {6}, "S": {3}}, id="MoS2"),
]


@pytest.mark.parametrize(("structure", "expected"), KNOWN)
def test_bonds_of_known_structures(structure: Structure, expected: dict[str, set[int]]) -> None:
    found = bonding(structure)
    assert found.rule == "CrystalNN"
    assert coordination(structure, found.bonds) == expected


@pytest.mark.parametrize(("structure", "expected"), KNOWN)
def test_bonds_by_distances_agree_on_known_structures(
    structure: Structure, expected: dict[str, set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bonds, "MAX_CRYSTALNN_SITES", 1)
    found = bonding(structure)
    assert found.rule == "distances"
    assert "CrystalNN is used up to 1" in found.note
    assert coordination(structure, found.bonds) == expected


def test_the_large_cation_of_a_perovskite_keeps_its_shell() -> None:
    shells = bonding(PEROVSKITE).shells
    assert [len(shell) for shell in shells[:2]] == [12, 6]


@pytest.mark.parametrize(
    ("structure", "in_cell", "boundary"),
    [(ROCK_SALT, 8, 19), (RUTILE, 6, 9), (PEROVSKITE, 5, 10), (SKEW, 4, 0)],
    ids=["rock salt", "rutile", "perovskite", "skew"],
)
def test_atoms_on_the_boundary_are_repeated(structure: Structure, in_cell: int, boundary: int) -> None:
    kinds = Counter(row[1] for row in crystal_scene.scene(structure)["atoms"])
    assert (kinds[IN_CELL], kinds[BOUNDARY]) == (in_cell, boundary)


def test_an_atom_just_outside_the_cell_is_drawn_as_on_its_face() -> None:
    shaken = Structure(ROCK_SALT.lattice, ROCK_SALT.species, ROCK_SALT.frac_coords - [0.004, 0, 0])
    positions = [row[5:] for row in crystal_scene.scene(shaken)["atoms"] if row[1] != COMPLETING]
    assert len(positions) == 27
    assert min(x for x, _, _ in positions) == pytest.approx(-0.004 * 5.64, abs=1e-3)


def test_a_supercell_holds_every_cell_and_its_outer_faces_only() -> None:
    scene = crystal_scene.scene(ROCK_SALT, (2, 1, 3))
    kinds = Counter(row[1] for row in scene["atoms"])
    assert kinds[IN_CELL] == 8 * 6
    assert kinds[IN_CELL] + kinds[BOUNDARY] == 5 * 3 * 7  # the grid of half edges over 2 x 1 x 3 cells
    assert len(scene["cell"]) == 2 * (2 * 4) + 1 * (3 * 4) + 3 * (3 * 2)


@pytest.mark.parametrize("supercell", [(1, 1, 1), (2, 1, 1)])
@pytest.mark.parametrize("structure", [RUTILE, SKEW, LAYERED], ids=["rutile", "skew", "MoS2"])
def test_every_drawn_atom_and_bond_is_where_pymatgen_has_it(structure: Structure, supercell: Image) -> None:
    scene = crystal_scene.scene(structure, supercell)
    for site, _, *image, x, y, z in scene["atoms"]:
        expected = structure.lattice.get_cartesian_coords(structure[site].frac_coords + image)
        assert [x, y, z] == pytest.approx(expected, abs=1e-3)
    assert len({tuple(row[5:]) for row in scene["atoms"]}) == len(scene["atoms"])
    lengths = {round(structure.get_distance(i, j, image), 2) for i, j, image in bonding(structure).bonds}
    for a, b in scene["bonds"]:
        first, second = (np.array(scene["atoms"][row][5:]) for row in (a, b))
        assert min(abs(np.linalg.norm(first - second) - length) for length in lengths) < 0.02


def test_every_octahedron_of_rutile_is_whole() -> None:
    scene = crystal_scene.scene(RUTILE)
    instances = scene["polyhedra"]["instances"]
    assert len(instances) == 9  # the middle and the eight corners
    for center, shape, vertices in instances:
        hull = scene["polyhedra"]["shapes"][shape]
        assert (len(hull["vertices"]), len(hull["faces"]), len(hull["edges"])) == (6, 8, 12)
        at = np.array(scene["atoms"][center][5:])
        placed = at + np.array(hull["vertices"])
        assert np.allclose(placed, [scene["atoms"][row][5:] for row in vertices], atol=1e-3)
        for a, b, c in hull["faces"]:  # wound outward, or the light falls on the inside
            p = placed[[a, b, c]]
            assert np.dot(np.cross(p[1] - p[0], p[2] - p[0]), p.mean(axis=0) - at) > 0


def test_the_faces_of_a_cube_have_no_diagonals() -> None:
    fluorite = of_group("Fm-3m", Lattice.cubic(5.46), ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    (shape, *_) = crystal_scene.scene(fluorite)["polyhedra"]["shapes"]
    assert (len(shape["vertices"]), len(shape["faces"]), len(shape["edges"])) == (8, 12, 12)


def test_metals_have_no_polyhedra() -> None:
    assert crystal_scene.scene(HEUSLER)["polyhedra"] == {"shapes": [], "instances": []}


def test_limits_are_kept_and_said() -> None:
    scene = crystal_scene.scene(ROCK_SALT, (3, 3, 3), max_atoms=100)
    assert scene["supercell"] == [1, 1, 1]
    assert "3 x 3 x 3 cells have more than 100 atoms" in " ".join(scene["notes"])
    assert len(crystal_scene.scene(ROCK_SALT, max_atoms=8)["atoms"]) == 8
    with pytest.raises(ValueError, match="8 sites in one cell, but at most 7 are drawn"):
        crystal_scene.scene(ROCK_SALT, max_atoms=7)
    with pytest.raises(ValueError, match=r"supercell \(0, 1, 1\)"):
        crystal_scene.scene(ROCK_SALT, (0, 1, 1))


def test_partial_occupancy_is_drawn_and_said() -> None:
    alloy = Structure(Lattice.cubic(3.6), [{"Cu": 0.7, "Zn": 0.3}], [[0, 0, 0]])
    scene = crystal_scene.scene(alloy)
    shares = [["Cu", 0.7], ["Zn", 0.3]]
    assert scene["sites"] == [{"label": "Cu1", "element": "Cu", "species": alloy[0].species_string, "shares": shares}]
    assert "partially occupied" in " ".join(scene["notes"])
    assert {symbol: entry["count"] for symbol, entry in scene["elements"].items()} == {"Cu": 1, "Zn": 0}
    assert "a cell with 1 Cu;" in crystal_scene.describe(scene)


@pytest.mark.parametrize(
    ("species", "sectors"),
    [
        ({"Cu": 1.0}, []),
        ({"Cu": 0.7, "Zn": 0.3}, ["Zn"]),
        ({"Cu": 0.7}, ["empty"]),
        ({"Cu": 0.4, "Zn": 0.3}, ["Zn", "empty"]),
        ({"Cu": 0.334, "Zn": 0.333, "Ni": 0.333}, ["Zn", "Ni"]),
        ({"Cu": 0.25, "Zn": 0.25, "Ni": 0.25, "Fe": 0.1}, ["Zn", "Ni", "Fe", "empty"]),
    ],
)
def test_the_still_picture_shows_the_shares_of_a_site(species: dict[str, float], sectors: list[str]) -> None:
    scene = crystal_scene.scene(Structure(Lattice.cubic(3.6), [species], [[0, 0, 0]]))
    drawn = re.findall(
        r'<path d="M(\S+) (\S+)L(\S+) (\S+)A(\S+) .*? (\S+) (\S+)Z" fill="(.*?)"', picture.picture(scene)
    )
    colors = ["#d7dbe0" if each == "empty" else scene["elements"][each]["color"] for each in sectors]
    n_atoms = sum(atom[1] != COMPLETING for atom in scene["atoms"])
    assert [each[-1] for each in drawn] == colors * n_atoms
    for before, after in pairwise(drawn):
        assert before[:2] != after[:2] or before[5:7] == after[2:4]  # within a ball one follows the other
    for x, y, *ends, color in drawn:
        x0, y0, radius, x1, y1 = map(float, (ends[0], ends[1], ends[2], ends[3], ends[4]))
        center = np.array([float(x), float(y)])
        reach = [np.linalg.norm(np.array(end) - center) for end in ((x0, y0), (x1, y1))]
        assert reach == pytest.approx([radius, radius], abs=0.2)
        cross = (x0 - center[0]) * (y1 - center[1]) - (y0 - center[1]) * (x1 - center[0])
        turn = np.arctan2(cross, np.dot(np.array([x0, y0]) - center, np.array([x1, y1]) - center)) / (2 * np.pi) % 1
        share = {scene["elements"][symbol]["color"]: part for symbol, part in species.items()}
        assert turn == pytest.approx(share.get(color, 1 - sum(species.values())), abs=0.02)


SPLIT = {  # places for one atom, too near each other for two
    "barium about its place": Structure(
        Lattice.cubic(4),
        [{"Ba": 0.5}, {"Ba": 0.5}, "Ti", "O", "O", "O"],
        [[0.05, 0, 0], [-0.05, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    ),
    "barium, a third each": Structure(
        Lattice.cubic(4),
        [{"Ba": 0.33}, {"Ba": 0.33}, {"Ba": 0.33}, "Ti", "O", "O", "O"],
        [[0.04, 0, 0], [0, 0.04, 0], [0, 0, 0.04], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    ),
    "two elements on one place, apart": Structure(
        Lattice.cubic(5.64),
        [{"Na": 0.6}, {"K": 0.4}, "Cl"],
        [[0, 0, 0], [0.03, 0, 0], [0.5, 0, 0]],
    ),
}


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        (SPLIT["barium about its place"], [12, 12, 6]),
        (SPLIT["barium, a third each"], [12, 12, 12, 6]),
        (Structure(Lattice.cubic(3.6), [{"Cu": 0.5}], [[0, 0, 0]]), [6]),
        (Structure(Lattice.cubic(2.9), [{"Fe": 0.5, "Co": 0.5}] * 2, [[0, 0, 0], [0.5, 0.5, 0.5]]), [8, 8]),
        (Structure(Lattice.cubic(5.64), [{"Na": 0.9}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]), [8, 8]),
        (Structure(Lattice.cubic(4.1), [{"La": 0.667, "Sr": 0.333}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]), [8, 8]),
    ],
)
def test_partly_occupied_sites_have_neighbors(structure: Structure, expected: list[int]) -> None:
    found = bonding(structure)
    assert [len(shell) for shell in found.shells[: len(expected)]] == expected
    for site, shell in enumerate(found.shells):
        occupied = [structure[other].species.num_atoms + structure[site].species.num_atoms for other, _ in shell]
        away = [structure[site].distance(structure[other], jimage=image) for other, image in shell]
        assert all(total > 1.05 or distance > 1.5 for total, distance in zip(occupied, away, strict=True))


@pytest.mark.parametrize(
    ("structure", "longest", "expected"),
    [
        (ROCK_SALT, 2.0, {"Na": {0}, "Cl": {0}}),
        (ROCK_SALT, 2.9, {"Na": {6}, "Cl": {6}}),
        (ROCK_SALT, 4.5, {"Na": {6}, "Cl": {6}}),
        (ROCK_SALT, 5.0, {"Na": {14}, "Cl": {14}}),
        (RUTILE, 1.96, {"Ti": {4}, "O": {2}}),
        (RUTILE, 2.1, {"Ti": {6}, "O": {3}}),
        (PEROVSKITE, 1.0, {"Sr": {0}, "Ti": {0}, "O": {0}}),
        (PEROVSKITE, 2.0, {"Sr": {0}, "Ti": {6}, "O": {2}}),
        (PEROVSKITE, 2.8, {"Sr": {12}, "Ti": {6}, "O": {6}}),
        (SILICON, 2.3, {"Si": {0}}),
        (SILICON, 4.0, {"Si": {4}}),
        (HEUSLER, 2.5, {"Co": {8}, "Mn": {8}, "Si": {8}}),
        (LAYERED, 2.5, {"Mo": {6}, "S": {3}}),
    ],
)
def test_a_longest_bond_bonds_what_is_that_near(
    structure: Structure, longest: float, expected: dict[str, set[int]]
) -> None:
    found = bonding(structure, longest)
    assert (found.rule, found.note) == ("cut-off", f"bonds up to {longest:g} Å")
    assert coordination(structure, found.bonds) == expected
    scene = crystal_scene.scene(structure, (2, 1, 1), longest)
    ends = np.array([row[5:8] for row in scene["atoms"]])
    lengths = [np.linalg.norm(ends[a] - ends[b]) for a, b in scene["bonds"]]
    assert all(length <= longest + 1e-3 for length in lengths)
    assert scene["bond_rule"] == "cut-off"


def test_a_lone_atom_and_overlapping_atoms_can_be_drawn() -> None:
    lone = Structure(Lattice.cubic(12), ["He"], [[0.5, 0.5, 0.5]])
    assert crystal_scene.scene(lone)["bonds"] == []
    overlapping = Structure(Lattice.cubic(4), ["Fe", "Fe"], [[0, 0, 0], [0.001, 0, 0]])
    assert len(crystal_scene.scene(overlapping)["sites"]) == 2


@pytest.mark.parametrize("image", [(0, 0, 0), (1, 0, -1), (0, 2, 0)])
def test_measures_equal_pymatgens_with_periodic_images(image: Image) -> None:
    distance = crystal_scene.measure(SKEW, [AtomReference(0), AtomReference(2, image)])
    assert distance.value == pytest.approx(SKEW.get_distance(0, 2, image), abs=1e-9)
    atoms = [AtomReference(0), AtomReference(1, image), AtomReference(2, (0, 1, 0)), AtomReference(3, (1, 0, 0))]
    cluster = Structure(
        Lattice.cubic(200),
        ["He"] * 4,
        [SKEW.lattice.get_cartesian_coords(SKEW[a.site].frac_coords + a.image) for a in atoms],
        coords_are_cartesian=True,
    )
    angle = crystal_scene.measure(SKEW, atoms[:3])
    assert (angle.kind, angle.unit, angle.value) == ("angle", "°", pytest.approx(cluster.get_angle(0, 1, 2), abs=1e-6))
    dihedral = crystal_scene.measure(SKEW, atoms)
    assert dihedral.value == pytest.approx(cluster.get_dihedral(0, 1, 2, 3), abs=1e-6)


def test_measures_refuse_what_has_no_meaning() -> None:
    with pytest.raises(ValueError, match="1 atoms picked"):
        crystal_scene.measure(SKEW, [AtomReference(0)])
    with pytest.raises(ValueError, match="site 9: this structure has sites 0 to 3"):
        crystal_scene.measure(SKEW, [AtomReference(0), AtomReference(9)])
    with pytest.raises(ValueError, match="picked twice"):
        crystal_scene.measure(SKEW, [AtomReference(0), AtomReference(0)])
    line = [AtomReference(0), AtomReference(0, (1, 0, 0)), AtomReference(0, (2, 0, 0)), AtomReference(1)]
    with pytest.raises(ValueError, match="on a line"):
        crystal_scene.measure(SKEW, line)


@pytest.mark.parametrize("structure", [ROCK_SALT, RUTILE, SKEW], ids=["rock salt", "rutile", "skew"])
def test_files_read_back_as_they_were(structure: Structure) -> None:
    (from_cif,) = CifParser.from_str(cif(structure)).parse_structures(primitive=False)
    from_poscar = Poscar.from_str(poscar(structure)).structure
    for back in (from_cif, from_poscar):
        assert back.lattice.parameters == pytest.approx(structure.lattice.parameters, abs=1e-5)
        assert back.composition == structure.composition
        difference = back.frac_coords[:, None] - structure.frac_coords[None]
        apart = np.abs(difference - np.round(difference)).max(axis=2)
        same = [[one.specie == other.specie for other in structure] for one in back]
        assert ((apart < 1e-6) & same).sum() == len(structure)  # each where it was, in any order


def test_poscar_groups_the_sites_of_an_element() -> None:
    mixed = Structure.from_sites([SKEW[k] for k in (2, 0, 3, 1)])  # O Li O Fe
    species, counts = poscar(mixed).splitlines()[5:7]
    assert dict(zip(species.split(), map(int, counts.split()), strict=True)) == {"Li": 1, "Fe": 1, "O": 2}


def test_extended_xyz_says_cell_and_columns() -> None:
    count, header, *rows = extended_xyz(SKEW).splitlines()
    cell = np.array(re.search(r'Lattice="([^"]+)"', header).group(1).split(), float).reshape(3, 3)
    assert int(count) == len(rows) == 4
    assert np.allclose(cell, SKEW.lattice.matrix)
    assert 'Properties=species:S:1:pos:R:3 pbc="T T T"' in header
    assert np.allclose([list(map(float, row.split()[1:])) for row in rows], SKEW.cart_coords)


def test_chemiscope_holds_structures_and_properties() -> None:
    written = json.loads(chemiscope_json({"one": SKEW, "two": RUTILE}, {"Band gap (eV)": [1.5, 3.0]}))
    first = written["structures"][0]
    assert (first["size"], first["names"]) == (4, ["Li", "Fe", "O", "O"])
    assert np.allclose(np.array(first["cell"]).reshape(3, 3), SKEW.lattice.matrix)
    assert np.allclose(np.transpose([first["x"], first["y"], first["z"]]), SKEW.cart_coords)
    assert written["properties"]["Band gap (eV)"] == {"target": "structure", "values": [1.5, 3.0]}
    with pytest.raises(ValueError, match="1 values for 2 structures"):
        chemiscope_json({"one": SKEW, "two": RUTILE}, {"gap": [1.0]})


def test_partial_occupancy_is_refused_where_the_format_cannot_hold_it() -> None:
    alloy = Structure(Lattice.cubic(3.6), [{"Cu": 0.7, "Zn": 0.3}], [[0, 0, 0]])
    assert "Zn" in cif(alloy)
    for write in (poscar, extended_xyz):
        with pytest.raises(ValueError, match="export CIF instead"):
            write(alloy)


SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Stand-in files: what the page does with 3Dmol is tested in the browser."""
    (tmp_path / "3Dmol-min.js").write_text("var $3Dmol = {};")
    (tmp_path / "3Dmol.es6-min.js").write_text("")
    monkeypatch.setattr(web_page, "VIEWER_LIBRARY", tmp_path)


@pytest.mark.usefixtures("library")
def test_the_page_fetches_nothing_and_escapes_its_title() -> None:
    page = web_page.html_page(SKEW, title=f"LiFeO2 {SCRIPT}")
    assert not re.findall(r"https?://|src=|loadScriptAsync|@import", page)
    assert SCRIPT not in page
    assert "&lt;script&gt;" in page
    assert page.count("<script>") == page.count("</script>") == 2


def test_a_missing_library_is_one_line_with_the_remedy(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(web_page, "VIEWER_LIBRARY", tmp_path)
    with pytest.raises(ValueError, match=r"3Dmol\.es6-min\.js is missing, .* run: make install$"):
        web_page.html_page(SKEW)


def test_a_picture_draws_far_atoms_first_and_escapes() -> None:
    svg = picture.picture(crystal_scene.scene(RUTILE), 200, label=SCRIPT)
    assert SCRIPT not in svg
    assert "&lt;script&gt;" in svg
    assert len(re.findall("<circle", svg)) == 15
    assert (
        len(re.findall("<line", svg)) == 12 + 2 * 14
    )  # cell edges; each bond of the middle Ti and of the corners in two halves
    near = picture.picture(
        crystal_scene.scene(Structure(Lattice.cubic(4), ["O", "S"], [[0.5, 0.1, 0.5], [0.5, 0.9, 0.5]]))
    )
    assert near.index('fill="url(#ball-S)"') < near.index('fill="url(#ball-O)"')


def test_a_scene_is_described_in_words() -> None:
    assert crystal_scene.describe(crystal_scene.scene(RUTILE, (2, 1, 1))).startswith(
        "Crystal structure TiO2: a cell with 2 Ti, 4 O; a 4.594, b 4.594, c 2.959 Å; alpha 90.0"
    )


def test_a_film_keeps_the_bonds_of_its_end() -> None:
    """Stretched, rock salt has other neighbors by itself; in a film no bond comes and goes."""
    end = ROCK_SALT
    stretched = Structure(Lattice.tetragonal(5.64, 9.5), end.species, end.frac_coords)
    first, last = crystal_scene.film([stretched, end])
    assert last == crystal_scene.scene(end)
    assert first["bonds"] == last["bonds"]
    assert len(crystal_scene.scene(stretched)["bonds"]) != len(last["bonds"])
    assert first["lattice"] == crystal_scene.scene(stretched)["lattice"]
