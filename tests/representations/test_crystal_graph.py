"""Crystal graphs: the same crystal gives the same graph, however it is written down; what is none is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from matgen_core.representations import CrystalGraph
from tests.support.crystals import of_group
from tests.support.rows import each_row

ELEMENTS = ("Ca", "Cl", "Na", "O", "Ti")
GRAPH = CrystalGraph(ELEMENTS)
ROCK_SALT = of_group("Fm-3m", Lattice.cubic(5.69), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
PEROVSKITE = Structure(
    Lattice.from_parameters(5.4, 5.5, 7.6, 88, 91, 93),
    ["Ca", "Ti", "O", "O", "O"],
    [[0.01, 0.02, 0.26], [0.5, 0, 0], [0.08, 0.48, 0.25], [0.71, 0.29, 0.04], [0.3, 0.7, 0.46]],
)


def environments(structure: Structure) -> list[tuple[str, tuple[tuple[str, float], ...]]]:
    """Each site's element with the elements and distances of its neighbors: all that a graph says."""
    graph = GRAPH.encode(structure)
    symbols = [ELEMENTS[index] for index in graph.species]
    around: list[list[tuple[str, float]]] = [[] for _ in symbols]
    for source, target, distance in zip(graph.sources, graph.targets, graph.distances, strict=True):
        around[target].append((symbols[source], round(float(distance), 3)))
    return sorted((symbol, tuple(sorted(near))) for symbol, near in zip(symbols, around, strict=True))


def test_neighbors_are_those_of_a_full_search_by_pymatgen() -> None:
    centers, _, _, distances = PEROVSKITE.get_neighbor_list(GRAPH.cutoff)
    graph = GRAPH.encode(PEROVSKITE)
    for site in range(len(PEROVSKITE)):
        every = np.sort(distances[centers == site])
        expected = every[every <= every[GRAPH.n_neighbors - 1] + GRAPH.shell_width]
        np.testing.assert_allclose(np.sort(graph.distances[graph.targets == site]), expected, atol=1e-4)


def test_a_shell_is_kept_whole() -> None:
    graph = GRAPH.encode(ROCK_SALT.get_primitive_structure())
    assert np.bincount(graph.targets).tolist() == [18, 18]  # 6 at a/2 and all 12 at a/sqrt(2), not 6 of them
    np.testing.assert_allclose(np.unique(graph.distances.round(3)), [5.69 / 2, round(5.69 / 2**0.5, 3)], atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(5)), st.lists(st.integers(-3, 3), min_size=15, max_size=15), st.floats(-1, 1))
def test_site_order_and_translations_change_nothing(order: list[int], steps: list[int], shift: float) -> None:
    moved = PEROVSKITE.frac_coords + np.reshape(steps, (5, 3)) + shift
    written = Structure(PEROVSKITE.lattice, [PEROVSKITE[i].specie for i in order], moved[order])
    assert environments(written) == environments(PEROVSKITE)


def test_a_supercell_repeats_the_environments() -> None:
    assert environments(PEROVSKITE * (2, 1, 3)) == sorted(environments(PEROVSKITE) * 6)


def test_equivalent_settings_have_the_same_environments() -> None:
    sheared = Structure.from_sites(PEROVSKITE.sites)
    sheared.make_supercell([[1, 0, 0], [2, 1, 0], [-1, 1, 1]], to_unit_cell=True)
    assert environments(sheared) == environments(PEROVSKITE)
    primitive = ROCK_SALT.get_primitive_structure()
    assert environments(ROCK_SALT) == sorted(environments(primitive) * 4)


def test_a_batch_is_its_graphs_end_to_end() -> None:
    batch = GRAPH.encode_batch([ROCK_SALT, PEROVSKITE])
    alone = GRAPH.encode(PEROVSKITE)
    assert len(batch) == 2
    assert batch.graph_index.tolist() == [0] * 8 + [1] * 5
    second = batch.targets >= 8
    np.testing.assert_array_equal(batch.sources[second] - 8, alone.sources)
    np.testing.assert_array_equal(batch.targets[second] - 8, alone.targets)
    np.testing.assert_array_equal(batch.distances[second], alone.distances)
    assert len(GRAPH.encode_batch([])) == 0


def test_few_neighbors_within_the_cutoff_are_enough() -> None:
    chain = Structure(Lattice.orthorhombic(3, 12, 12), ["Na"], [[0, 0, 0]])
    assert sorted(GRAPH.encode(chain).distances.round(4)) == [3, 3, 6, 6]


@each_row(
    ("structure", "message"),
    [
        (Structure(Lattice.cubic(4), [{"Na": 0.5, "Ca": 0.5}], [[0, 0, 0]]), "partially occupied"),
        (Structure(Lattice.cubic(4), [{"Na": 0.5}], [[0, 0, 0]]), "partially occupied"),
        (Structure(Lattice.cubic(4), ["Xe"], [[0, 0, 0]]), "Xe is not one of the 5 elements"),
        (Structure(Lattice.cubic(4), ["Na"], [[0, 0, 0]]) * (8, 8, 4), "256 sites.* 1 to 200"),
        (Structure(Lattice.cubic(20), ["Na"], [[0, 0, 0]]), "site 1 .Na. has no neighbor within 8 Å"),
        (Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.05, 0, 0]]), "0.20 Å apart"),
        (Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0, 0, 1]]), "0.00 Å apart"),
        (Structure(Lattice.cubic(4), [], []), "0 sites"),
    ],
)
def test_what_is_no_graph_is_refused_in_one_line(structure: Structure, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        GRAPH.encode(structure)
    assert "\n" not in str(caught.value)
