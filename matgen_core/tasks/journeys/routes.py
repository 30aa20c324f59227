"""Where a journey goes: latent points in order, each with a name; nothing is decoded here.

A route may lead through waypoints, add and subtract materials, follow one axis, or scatter around a place.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matgen_core.latent.errors import returned
from matgen_core.latent.map import LatentMap
from matgen_core.latent.space import Z
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.levels import COMPOSITION, PHASE_FIELD

PathKind = Literal["straight", "spherical", "neighbors", "known"]
AxisKind = Literal["principal", "coordinate"]

PATHS: dict[PathKind, str] = {
    "straight": "Straight",
    "spherical": "Spherical",
    "neighbors": "Along neighbors",
    "known": "Known materials",
}
N_GRAPH_NEIGHBORS = 10  # neighbors that a path on the graph may go to from each material
_ON_WAYPOINT = 1e-6


@dataclass(frozen=True, eq=False)
class Waypoint:
    """A named place: a material of the index (`row`), or a field or formula that is not in it (`row` None)."""

    key: str
    name: str
    z: Z
    row: int | None


@dataclass(frozen=True, eq=False)
class Route:
    """Latent points in the order in which they are visited.

    Attributes:
        z: (n_steps, latent_dim).
        labels: What each step is, "" for one that is only on the way.
        rows: Row of the index where a step stands on a known material, else None.
        walked_from: First of the steps that follow one another to the end; None where none do, as samples.
        condition: (n_steps, n_conditions), what the decoder is told; None where it is told nothing.
        ends: The steps that are waypoints, in order, where the others lie between them; else empty.
    """

    z: Z
    labels: tuple[str, ...]
    rows: tuple[int | None, ...]
    walked_from: int | None = 0
    condition: NDArray[np.float32] | None = None
    ends: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.z)


def waypoint(space: LatentMap, key: str) -> Waypoint:
    """Find a place by what it is called: the id of a material, or any phase field or formula that a model encodes.

    Raises:
        ValueError: If nothing in the index is called so and it is nothing that the model encodes, or it has no latent
            point.
    """
    if space.level is not PHASE_FIELD:
        rows = np.flatnonzero(space.index[space.level.id_column].astype(str) == key)
        if not len(rows) and space.level is COMPOSITION and space.encodes:
            return _encoded_formula(space, key)
        if not len(rows):
            plural = space.level.plural
            raise ValueError(f"{key} is not among the {len(space.z):,} {plural} of {space.name}; choose another")
        name = _name(space, rows[0])
        if not space.has_point[rows[0]]:
            raise ValueError(
                f"{name} ({key}) is a known {space.level.noun}, and {space.name} has no encoder to find its latent"
                f" point; choose a generated {space.level.noun}"
            )
        return Waypoint(key, name, space.z[rows[0]], int(rows[0]))
    known = space.index[PHASE_FIELD.column]
    # Known fields may hold an element in two valences, which is no field that one may write.
    field = PhaseField.read(key) if (known == key).any() else PhaseField.parse(key)
    rows = np.flatnonzero(known == field.write())
    if len(rows):
        return Waypoint(field.write(), field.chemists_order(), space.z[rows[0]], int(rows[0]))
    encoded = space.encode([field])[0]
    if encoded.z is None:
        raise ValueError(encoded.problem)
    return Waypoint(field.write(), field.chemists_order(), encoded.z, None)


def _encoded_formula(space: LatentMap, text: str) -> Waypoint:
    formula = Formulas.of_text(text)
    encoded = space.encode(formula.compositions())[0]
    if encoded.z is None:
        raise ValueError(encoded.problem)
    return Waypoint(text, formula.texts()[0], encoded.z, None)


def example(space: LatentMap) -> tuple[str, str]:
    """Return the keys of two materials that make a telling path.

    They are the first that come back of the first and last family by name, where an index has families. Of formulas
    they are the most stable one (the shortest, where no energies are known), and of the hundred next the one that lies
    farthest from it; of other materials the first and the one that lies farthest from it, with its composition where
    a walk keeps that.
    """
    index = space.index
    keys = index[space.level.id_column].astype(str)
    if "family" in index and index["family"].nunique() > 1:
        good = index[returned(index)].groupby("family").head(1).sort_values("family")
        if len(good) > 1:
            return keys[good.index[0]], keys[good.index[-1]]
    rows = _simple_formulas(space) if space.level is COMPOSITION else np.flatnonzero(space.has_point)
    if space.takes_composition:  # a walk keeps the composition of its start
        rows = rows[(index["formula"].iloc[rows] == index["formula"].iloc[rows[0]]).to_numpy()]
    far = np.linalg.norm(space.z[rows] - space.z[rows[0]], axis=1).argmax()
    return keys.iloc[rows[0]], keys.iloc[rows[far]]


def _simple_formulas(space: LatentMap, most: int = 100) -> NDArray[np.int64]:
    """Rows of stable or short formulas with a latent point that decodes to them and charges that can balance."""
    index = space.index
    good = space.has_point
    if "electronegativity_balanced" in index:
        good = good & index["electronegativity_balanced"].fillna(False).to_numpy(bool)
    good = good & returned(index)
    rows = np.flatnonzero(good if good.any() else space.has_point)
    energies = index.get("formation_energy_per_atom", index["formula"].str.len())
    order = np.argsort(energies.to_numpy()[rows], kind="stable")
    return rows[order[:most]]


def path(
    space: LatentMap,
    waypoints: Sequence[Waypoint],
    n_steps: int,
    kind: PathKind = "straight",
    spread: float = 0.0,
    seed: int = 0,
) -> Route:
    """Lead through waypoints in their order.

    Args:
        space: The latent space.
        waypoints: Two or more places; each is a step.
        n_steps: Steps in all, both ends included; those between waypoints are shared out by distance. The kind
            "known" takes as many as there are materials on its way.
        kind: "straight" and "spherical" as `LatentSpace.interpolate`. "neighbors" is the shortest way on the graph that
            joins each material that has a latent point with its nearest ones, walked in equal steps, so it bends
            round empty space; "known" stands on the materials of that way instead.
        spread: Standard deviation, in each latent coordinate, by which the steps between waypoints are moved off the
            way; the prior has about 1. Spherical with a spread is how arXiv:1909.00949 samples between known compounds.
        seed: Of these moves; the same seed makes the same.

    Raises:
        ValueError: If there are too few waypoints or steps, two waypoints in turn are the same place, no chain of
            neighbors joins them, or the spread is no finite number from 0 on, or above 0 on known materials.
    """
    if len(waypoints) < 2:
        raise ValueError(f"{len(waypoints)} waypoints; a path needs at least 2")
    if n_steps < len(waypoints) and kind != "known":
        raise ValueError(f"{n_steps} steps for {len(waypoints)} waypoints; take at least as many steps as waypoints")
    if not (math.isfinite(spread) and spread >= 0):
        raise ValueError(f"a spread of {spread:g}; it must be 0 or a finite number above")
    if spread and kind == "known":
        raise ValueError(f"a spread of {spread:g} would leave the known materials; take 0, or another kind of path")
    for first, second in pairwise(waypoints):
        if np.linalg.norm(first.z - second.z) < _ON_WAYPOINT:
            raise ValueError(f"{first.name} comes twice in turn; two waypoints must lie apart")
    on_graph = kind in ("neighbors", "known")
    stops = _stops_on_graph(space, waypoints) if on_graph else [[] for _ in waypoints[1:]]
    spans = [
        np.stack([first.z, *space.z[between], second.z])
        for (first, second), between in zip(pairwise(waypoints), stops, strict=True)
    ]
    lengths = [float(np.linalg.norm(np.diff(span, axis=0), axis=1).sum()) for span in spans]
    z, rows, names, ends = [waypoints[0].z], [waypoints[0].row], [waypoints[0].name], [0]
    for span, between, end, n in zip(spans, stops, waypoints[1:], _share_out(n_steps - 1, lengths), strict=True):
        if kind == "known":
            z += list(span[1:-1])
            rows += between
            names += [_name(space, row) for row in between]
        else:
            straight = space.interpolate(span[0], span[-1], n + 1, spherical=kind == "spherical")
            z += list(space.held((_equally_spaced(span, n + 1) if on_graph else straight)[1:-1], span[0]))
            rows += [None] * (n - 1)
            names += [""] * (n - 1)
        z.append(end.z)  # a waypoint stands where it is, not where rounding puts it
        rows.append(end.row)
        names.append(end.name)
        ends.append(len(z) - 1)
    placed = np.stack(z)
    if spread:
        moved = np.setdiff1d(np.arange(len(z)), ends)
        (noise,) = space.noise([len(moved)], seed)
        strayed = placed[moved] + np.float32(spread) * noise.numpy()
        for number, point in zip(moved.tolist(), strayed, strict=True):
            placed[number] = space.held(point[None], placed[number])[0]
    return Route(placed, tuple(names), tuple(rows), ends=() if kind == "known" else tuple(ends))


def arithmetic(space: LatentMap, a: Waypoint, b: Waypoint, c: Waypoint, n_steps: int) -> Route:
    """Carry the difference of two materials over to a third: A, B, then from C to C + (A - B) in equal steps.

    Raises:
        ValueError: If there are fewer than 2 steps from C on, or A and B are the same place.
    """
    if np.linalg.norm(a.z - b.z) < _ON_WAYPOINT:
        raise ValueError(f"A and B are both {a.name}; their difference is nothing, choose two that differ")
    walked = space.interpolate(c.z, a.z - b.z + c.z, n_steps)
    shares = np.linspace(0, 1, n_steps)[1:-1]
    sum_of = f"{a.name} − {b.name} + {c.name}"  # noqa: RUF001 a minus, not a hyphen
    labels = [f"A: {a.name}", f"B: {b.name}", f"C: {c.name}", *(f"C + {share:.0%} (A − B)" for share in shares)]  # noqa: RUF001
    rows = [a.row, b.row, c.row, *[None] * (n_steps - 1)]
    return Route(np.stack([a.z, b.z, *walked]), (*labels, sum_of), tuple(rows), walked_from=2)


def axis_shares(space: LatentMap) -> NDArray[np.float64]:
    """Share of the variance of the latent points along each principal axis, largest first, (latent_dim,)."""
    variances = _principal_axes(space)[1]
    return variances / variances.sum()


def axis(
    space: LatentMap, center: Waypoint, number: int, n_steps: int, reach: float = 2.0, kind: AxisKind = "principal"
) -> Route:
    """Follow one axis through a place, from `reach` below it to `reach` above it.

    Args:
        space: The latent space.
        center: The place.
        number: Which axis, from 0; principal axes by falling variance, each pointing to where its largest
            component is positive.
        n_steps: How many steps; the middle of an odd number stands on the place.
        reach: How far, in standard deviations of the known materials along that axis.
        kind: A principal axis of the known materials, or a coordinate of the latent space.

    Raises:
        ValueError: If there is no such axis, fewer than 2 steps, or no reach.
    """
    if not 0 <= number < space.latent_dim:
        raise ValueError(f"axis {number + 1}: {space.name} has axes 1 to {space.latent_dim}")
    if n_steps < 2 or reach <= 0:
        raise ValueError(f"{n_steps} steps over ± {reach:g}; take at least 2 steps and a reach above 0")
    if kind == "principal":
        axes, variances = _principal_axes(space)
        direction, spread = axes[number], float(np.sqrt(variances[number]))
    else:
        direction, spread = np.eye(space.latent_dim)[number], float(np.nanstd(space.z[:, number]))
    places = np.linspace(-reach, reach, n_steps)
    z = (center.z + np.outer(places * spread, direction)).astype(np.float32)
    labels = [center.name if at == 0 else f"{at:+.1f} σ".replace("-", "−") for at in places]  # noqa: RUF001
    return Route(z, tuple(labels), tuple(center.row if at == 0 else None for at in places))


def samples(
    space: LatentMap,
    centers: Sequence[Z] | None,
    n_samples: int,
    width: float,
    seed: int,
    wanted: Mapping[str, float] | None = None,
) -> Route:
    """Scatter points around places, or over the whole space.

    Args:
        space: The latent space.
        centers: Places, (latent_dim,) each, one as likely as another; None draws from the model's prior.
        n_samples: How many points.
        width: Standard deviation in each coordinate; the prior has its own.
        seed: The same seed draws the same points.
        wanted: Values to ask for by property, as `LatentSpace.condition_of` takes them: of the prior where it is
            learned, else of the decoder.

    Raises:
        ValueError: If nothing is asked for, there is no place, the width is not above 0, or the model takes no such
            condition.
    """
    if n_samples < 1:
        raise ValueError(f"{n_samples} samples; ask for at least 1")
    of_prior, of_decoder = space.conditions(wanted or {}, n_samples)
    if centers is None:
        z = space.sample(n_samples, seed, condition=of_prior)
    else:
        if not len(centers):
            raise ValueError("no place to sample around; choose a material or draw a lasso")
        if not width > 0:
            raise ValueError(f"a width of {width:g}; it must be above 0")
        chosen = np.random.default_rng([seed, 1]).integers(len(centers), size=n_samples)
        z = np.empty((n_samples, space.latent_dim), np.float32)
        for i in np.unique(chosen).tolist():
            here = chosen == i
            condition = None if of_prior is None else of_prior[here]
            z[here] = space.sample(int(here.sum()), seed + i, centers[i], width, condition)
    return Route(z, ("",) * n_samples, (None,) * n_samples, walked_from=None, condition=of_decoder)


def _name(space: LatentMap, row: int) -> str:
    return space.level.display(space.index[space.level.column].iloc[row])


def _share_out(n: int, lengths: Sequence[float]) -> list[int]:
    """Share n gaps out over spans by their lengths, one at least to each."""
    shares = [1] * len(lengths)
    for _ in range(n - len(lengths)):
        longest = max(range(len(lengths)), key=lambda i: lengths[i] / shares[i])
        shares[longest] += 1
    return shares


def _equally_spaced(corners: Z, n_points: int) -> Z:
    """Points at equal distances along a line with corners, both ends included."""
    reached = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    at = np.linspace(0, reached[-1], n_points)
    return np.stack([np.interp(at, reached, column) for column in corners.T], axis=1).astype(np.float32)


def _stops_on_graph(space: LatentMap, waypoints: Sequence[Waypoint]) -> list[list[int]]:
    """Rows of the materials between each two waypoints on the shortest way over the graph of true neighbors."""
    from scipy.sparse.csgraph import dijkstra
    from sklearn.neighbors import kneighbors_graph

    rows = np.flatnonzero(space.has_point)
    places = [space.features_of(each.z[None]) for each in waypoints if each.row is None]
    features = np.concatenate([space.features[rows], *places])
    strangers = iter(range(len(rows), len(features)))
    nodes = [next(strangers) if each.row is None else int(np.searchsorted(rows, each.row)) for each in waypoints]
    graph = kneighbors_graph(features, min(N_GRAPH_NEIGHBORS, len(features) - 1), mode="distance")
    _, before = dijkstra(graph.maximum(graph.T), directed=False, indices=nodes[:-1], return_predecessors=True)
    found = []
    for leg, (start, end) in enumerate(pairwise(nodes)):
        way, at = [], int(before[leg, end])
        while at >= 0 and at != start:
            way.append(at)
            at = int(before[leg, at])
        if at < 0:
            first, second = waypoints[leg], waypoints[leg + 1]
            raise ValueError(
                f"no chain of neighbors leads from {first.name} to {second.name} in {space.name}; take a straight path"
            )
        found.append([int(rows[node]) for node in way[::-1] if node < len(rows)])
    return found


def _principal_axes(space: LatentMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Axes as rows, (latent_dim, latent_dim), and variances along them, (latent_dim,), largest first."""
    variances, axes = np.linalg.eigh(np.cov(space.z[space.has_point].astype(float), rowvar=False))
    axes, variances = axes.T[::-1], np.maximum(variances[::-1], 0)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], axis=1)
    return axes * np.sign(largest), variances
