"""Properties of crystals with their standard deviations, one row a crystal whatever becomes of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from pymatgen.core import Structure

from matgen_core.checkpoint import Checkpoint
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
