"""Properties of crystals and of formulas with their standard deviations, one row each whatever becomes of it."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from pymatgen.core import Structure

from matgen_core.checkpoint import Checkpoint
from matgen_core.materials.formulas import Formulas
from matgen_core.materials.properties import PROPERTIES, property_named
from matgen_core.networks.models.capabilities import PropertyPredictor
from matgen_core.networks.models.cgcnn import CGCNN, in_units
from matgen_core.representations import FormulaEncoder
from matgen_core.representations.crystal_graph import CrystalGraph, GraphBatch, concatenate
from matgen_core.representations.magpie_features import MagpieFeatures
from matgen_core.tasks.remarks import remarks

SITES_A_CHUNK = 96  # what stays in the cache of a core
FORMULAS_A_CHUNK = 20_000  # as arrays they are a few MB


def predicts_formulas(checkpoint: Checkpoint) -> bool:
    """Whether `predict_formulas` takes a checkpoint."""
    return bool(formula_properties(checkpoint))


def formula_properties(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the properties that `predict_formulas` gives, as the data name them; none if it takes no formulas."""
    model, representation = checkpoint.model, checkpoint.representation
    if not isinstance(model, PropertyPredictor) or not isinstance(representation, FormulaEncoder):
        return ()
    return model.properties


@torch.inference_mode()
def predict_formulas(
    checkpoint: Checkpoint, formulas: Formulas, progress: Callable[[int], None] | None = None
) -> pd.DataFrame:
    """Predict the properties of formulas, each as its reduced formula: none of the properties depends on the size.

    Args:
        checkpoint: One that `predicts_formulas`.
        formulas: Any number.
        progress: Called with the number of formulas done.

    Returns:
        One row a formula, in order. Two columns a property, its name and that with "_std" behind it, in the units of
        `PROPERTIES`; `problem` says why a formula has none, else it is empty.

    Raises:
        ValueError: If the checkpoint predicts no properties of formulas.
    """
    model, representation = checkpoint.model, checkpoint.representation
    if not isinstance(model, PropertyPredictor) or not isinstance(representation, FormulaEncoder):
        raise ValueError(f"{checkpoint.name} ({checkpoint.model_name}) predicts no properties of formulas")
    reduced = formulas.reduced()
    problems = np.array(representation.misfits(reduced), object)
    present = np.flatnonzero(problems == "")
    mean, std = np.full((2, len(formulas), len(model.properties)), np.nan, np.float32)
    for start in range(0, len(present), FORMULAS_A_CHUNK):
        rows = present[start : start + FORMULAS_A_CHUNK]
        predicted = model.predict(torch.from_numpy(representation.encode_formulas(reduced[rows])))
        mean[rows], std[rows] = (values.numpy() for values in predicted)
        if progress:
            progress(int(rows[-1]) + 1)
    columns: dict[str, Any] = {}
    for column, name in enumerate(model.properties):
        columns[name], columns[f"{name}_std"] = mean[:, column], std[:, column]
    return pd.DataFrame(columns | {"problem": problems})


def predict_texts(
    checkpoint: Checkpoint,
    texts: Sequence[str],
    progress: Callable[[int], None] | None = None,
    unread: Sequence[str] = (),
) -> pd.DataFrame:
    """Read formulas and predict their properties.

    Args:
        checkpoint: One that `predicts_formulas`.
        texts: Such as "Fe2O3"; one that is no formula keeps its row, and its problem says so.
        progress: Called with the number of formulas done.
        unread: Why the row of each could not be taken from its file, "" where it could; none if not given.

    Returns:
        What `predict_formulas` returns, behind a column formula with the texts as they came.

    Raises:
        ValueError: If the checkpoint predicts no properties of formulas.
    """
    unread = unread or [""] * len(texts)
    formulas, wrong = Formulas.of_texts("" if why else text for text, why in zip(texts, unread, strict=True))
    table = predict_formulas(checkpoint, formulas, progress)
    reasons = zip(unread, wrong, table["problem"], strict=True)
    table["problem"] = [next(filter(None, each), "") for each in reasons]
    table.insert(0, "formula", list(texts))
    return table


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
    properties = model.properties
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


def nearest_known(checkpoint: Checkpoint, formulas: Formulas) -> pd.DataFrame:
    """Find the formula of a checkpoint's index that is most like each formula.

    Args:
        checkpoint: One that predicts from Magpie features and has an index with formulas.
        formulas: Those that fit the checkpoint's representation, a page of a table rather than millions.

    Returns:
        One row a formula, in order: nearest_known; distance, the root mean square difference of their features in
        standard deviations over the index; is_known, whether the reduced formulas are the same.

    Raises:
        ValueError: If the checkpoint has no such features or index.
    """
    representation, index = checkpoint.representation, checkpoint.index
    if not isinstance(representation, MagpieFeatures) or index is None or "formula" not in index:
        raise ValueError(f"{checkpoint.name} ({checkpoint.model_name}) has no index of formulas with Magpie features")
    known, _ = Formulas.of_texts(index["formula"])
    features = representation.encode_formulas(known)
    spread = features.std(0)
    scale = np.where(spread > 0, spread, 1) * np.sqrt(features.shape[1])
    features, asked = features / scale, representation.encode_formulas(formulas) / scale
    apart = np.array([np.linalg.norm(features - row, axis=1) for row in asked]).reshape(len(asked), len(features))
    return pd.DataFrame(
        {
            "nearest_known": index["formula"].to_numpy()[apart.argmin(1)],
            "distance": apart.min(1),
            "is_known": np.isin(formulas.reduced().keys(), known.reduced().keys()),
        }
    )


def property_table(
    checkpoints: Sequence[Checkpoint],
    structures: Mapping[str, Structure],
    notes: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> pd.DataFrame:
    """Predict every property that some checkpoints know, and say how far each can be trusted.

    Args:
        checkpoints: Those whose model is a CGCNN.
        structures: By the name that is shown.
        notes: What was done or guessed to read them, by the same names.

    Returns:
        One row for each property and structure: structure, property (as people call it), value and std (calibrated
        standard deviation) in unit, mae (mean absolute error over the n_test crystals of the model's own test part),
        model, problem where there is no value, and note: the structure's remarks.
    """
    rows = []
    said = ["; ".join(remarks(structure, notes.get(name, ()))) for name, structure in structures.items()]
    for checkpoint in checkpoints:
        found = predict(checkpoint, list(structures.values()))
        for name in (column for column in found if f"{column}_std" in found):
            tested = checkpoint.metrics.get("test", {}).get(name, {})
            common = {
                "property": property_named(name).title,
                "unit": property_named(name).unit,
                "mae": tested.get("mae", np.nan),
                "n_test": tested.get("n", 0),
                "model": checkpoint.name,
            }
            values = zip(structures, found[name], found[f"{name}_std"], found["problem"], said, strict=True)
            rows += [
                {"structure": label, **common, "value": value, "std": std, "problem": problem, "note": note}
                for label, value, std, problem, note in values
            ]
    columns = ["structure", "property", "value", "std", "unit", "mae", "n_test", "model", "problem", "note"]
    order = [each.title for each in PROPERTIES.values()]
    rows.sort(key=lambda row: order.index(row["property"]) if row["property"] in order else len(order))
    return pd.DataFrame(rows, columns=columns)


def with_deviation(value: float, std: float) -> str:
    """Write a value as precisely as its standard deviation allows, "-0.479 ± 0.031"; "none" where there is none."""
    if not (np.isfinite(value) and np.isfinite(std)):
        return "none"
    decimals = max(0, 1 - int(np.floor(np.log10(std)))) if std > 0 else 3
    rounded = round(float(value), decimals) + 0.0  # no "-0.00"
    return f"{rounded:.{decimals}f} ± {std:.{decimals}f}"


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
