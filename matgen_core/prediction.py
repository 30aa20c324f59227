"""Properties of crystals with their standard deviations, one row a crystal whatever becomes of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from pymatgen.core import Structure

from matgen_core.checkpoint import Checkpoint
from matgen_core.data.crystal_properties import LABELS, UNITS
from matgen_core.models.cgcnn import CGCNN, in_units
from matgen_core.representations.crystal_graph import CrystalGraph, GraphBatch, concatenate

SITES_A_CHUNK = 96  # what stays in the cache of a core


def predict(checkpoint: Checkpoint, structures: Sequence[Structure]) -> pd.DataFrame:
    """Predict the properties of crystals.

    Args:
        checkpoint: One whose model is a CGCNN.
        structures: Ordered structures.

    Returns:
        One row a structure, in order. Two columns a property, its name and that with "_std" behind it, in the units of
        the data; `problem` says why a structure has none, else it is empty.

    Raises:
        ValueError: If the checkpoint predicts no properties of crystals.
    """
    model, representation = checkpoint.model, checkpoint.representation
    if not isinstance(model, CGCNN) or not isinstance(representation, CrystalGraph):
        raise ValueError(
            f"{checkpoint.name} ({checkpoint.model_name}) predicts no properties of crystals; take a cgcnn checkpoint"
        )
    graphs: list[GraphBatch | None] = []
    problems = []
    for structure in structures:
        try:
            graphs.append(representation.encode(structure))
            problems.append("")
        except ValueError as error:
            graphs.append(None)
            problems.append(str(error))
    properties = model.config.properties
    mean, std = np.full((2, len(graphs), len(properties)), np.nan)
    # Crystals of one size together, so that every chunk is as large as it may be.
    present = sorted(((row, graph) for row, graph in enumerate(graphs) if graph), key=lambda pair: len(pair[1].species))
    for chunk in _chunks(present):
        rows = [row for row, _ in chunk]
        batch = concatenate([graph for _, graph in chunk])
        arrays = (batch.species, batch.sources, batch.targets, batch.distances, batch.graph_index)
        species, sources, targets, distances, graph_index = map(torch.from_numpy, arrays)
        predicted = model.predict(species, sources, targets, distances, graph_index, len(rows))
        prediction = in_units(model.config, predicted)
        mean[rows], std[rows] = prediction.mean.numpy(), prediction.std.numpy()
    columns: dict[str, Any] = {}
    for column, name in enumerate(properties):
        columns[name], columns[f"{name}_std"] = mean[:, column], std[:, column]
    return pd.DataFrame(columns | {"problem": problems})


def property_table(checkpoints: Sequence[Checkpoint], structures: Mapping[str, Structure]) -> pd.DataFrame:
    """Predict every property that some checkpoints know, and say how far each can be trusted.

    Args:
        checkpoints: Those whose model is a CGCNN.
        structures: By the name that is shown.

    Returns:
        One row for each property and structure: structure, property (as people call it), value and std (calibrated
        standard deviation) in unit, mae (mean absolute error over the n_test crystals of the model's own test part),
        model, and problem where there is no value.
    """
    rows = []
    for checkpoint in checkpoints:
        found = predict(checkpoint, list(structures.values()))
        for name in checkpoint.model.config.properties:  # type: ignore[union-attr]
            tested = checkpoint.metrics.get("test", {}).get(name, {})
            common = {
                "property": _title(name),
                "unit": UNITS.get(name, ""),
                "mae": tested.get("mae", np.nan),
                "n_test": tested.get("n", 0),
                "model": checkpoint.name,
            }
            values = zip(structures, found[name], found[f"{name}_std"], found["problem"], strict=True)
            rows += [
                {"structure": label, **common, "value": value, "std": std, "problem": problem}
                for label, value, std, problem in values
            ]
    columns = ["structure", "property", "value", "std", "unit", "mae", "n_test", "model", "problem"]
    order = [_title(name) for name in LABELS]
    rows.sort(key=lambda row: order.index(row["property"]) if row["property"] in order else len(order))
    return pd.DataFrame(rows, columns=columns)


def _title(name: str) -> str:
    label = LABELS.get(name, name.replace("_", " "))
    return label[0].upper() + label[1:]


def with_deviation(value: float, std: float) -> str:
    """Write a value as precisely as its standard deviation allows, "-0.479 ± 0.031"; "none" where there is none."""
    if not (np.isfinite(value) and np.isfinite(std)):
        return "none"
    decimals = max(0, 1 - int(np.floor(np.log10(std)))) if std > 0 else 3
    return f"{value:.{decimals}f} ± {std:.{decimals}f}"


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out `property_table` with a column a structure, "1.23 ± 0.05", for reading."""
    texts = [with_deviation(row.value, row.std) for row in table.itertuples(index=False)]
    written = table.assign(text=texts)
    rows = written.pivot_table(
        index=["property", "unit", "mae"], columns="structure", values="text", aggfunc="first", sort=False, dropna=False
    )
    return rows[list(dict.fromkeys(table["structure"]))].dropna(how="all").reset_index().rename_axis(columns=None)


def _chunks(graphs: list[tuple[int, GraphBatch]]) -> list[list[tuple[int, GraphBatch]]]:
    """Cut a list so that each part has SITES_A_CHUNK sites at most, or is one crystal."""
    parts: list[list[tuple[int, GraphBatch]]] = []
    room = 0
    for row, graph in graphs:
        if len(graph.species) > room:
            parts.append([])
            room = SITES_A_CHUNK
        parts[-1].append((row, graph))
        room -= len(graph.species)
    return parts
