"""Recipes of the eight property networks: pack the graphs, fit, judge on unseen chemical systems, describe.

Reference: Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018), doi:10.1103/PhysRevLett.120.145301
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pymatgen.core import Element, Structure

from matgen_core import checkpoint as checkpoints
from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.data.dataset import Dataset
from matgen_core.materials.levels import CRYSTAL
from matgen_core.materials.properties import property_named
from matgen_core.networks.arrays import graphs as packed_graphs
from matgen_core.networks.arrays.graphs import PackedGraphs
from matgen_core.networks.arrays.splits import TEST, THREE_PARTS
from matgen_core.networks.learning import runs
from matgen_core.networks.learning.cgcnn import (
    CGCNNLearner,
    PropertyGraphs,
    predict_rows,
    read_run,
    targets_of,
    trunk_of,
)
from matgen_core.networks.models.cgcnn import CGCNN, CGCNNConfig, Prediction, in_units
from matgen_core.networks.models.parts import rounding
from matgen_core.recipes.cgcnn.data import PROPERTIES, SOURCES, STRICT_SOURCES, load_crystal_properties, sides
from matgen_core.recipes.cgcnn.figures import PAPER, non_metals, property_metrics, worst_cases
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.runs import ARRAYS, measured, provenance
from matgen_core.representations.crystal_graph import CrystalGraph, GraphBatch
from matgen_core.tasks.prediction import predict

SYSTEM = "Court 2020, iCSG3D (its property networks: Xie 2018, CGCNN)"
ENERGY, GAP = "formation_energy_per_atom", "band_gap"
SEED = 0


# Runs for comparison, by their titles in metrics.json; they lie in folders of these names inside the run's own.
COMPARISONS = {"random_split": "energy_random_split", "paper_design": "energy_paper_design"}


def pack() -> PackedGraphs:
    """Build the graphs of all crystals with a known property.

    Crystals that are no graph (two sites closer than 0.5 Å, or an isolated one) are left out and counted.
    """
    dataset = load_crystal_properties()
    table = dataset.table
    of_row = sides(dataset, SEED)
    elements = tuple(sorted({Element.from_Z(int(z)).symbol for numbers in table["numbers"] for z in set(numbers)}))
    representation = CrystalGraph(elements)
    graphs, kept, refused = [], [], []
    for row, graph in enumerate(_graphs(dataset, representation)):
        if isinstance(graph, GraphBatch):
            graphs.append(graph)
            kept.append(row)
        else:
            refused.append(graph)
    table, of_row = table.iloc[kept], of_row[kept]
    random_side = [_random_side(identifier) for identifier in table["material_id"]]
    strict = np.where(table["formation_energy_source"].isin(STRICT_SOURCES), 1, 0)
    sys.stderr.write(f"packed {len(graphs):,} graphs; left out {len(refused)}: {'; '.join(refused[:3])}\n")
    return packed_graphs.pack(
        graphs,
        values=table[list(PROPERTIES)].to_numpy(np.float32),
        sides=np.stack([of_row, random_side, strict], 1).astype(np.uint8),
        facts={
            "elements": elements,
            "properties": PROPERTIES,
            "splits": ["chemical_system", "random", "strict"],
            "cutoff": representation.cutoff,
            "refused": refused,
            "sha256": _hashes(),
        },
    )


@dataclass(frozen=True)
class CGCNNRecipe:
    """Fit an ensemble to some of the eight properties."""

    name: str
    learner: CGCNNLearner
    precision: rounding.Precision = "int8"
    n_gaps: int = 2000  # test crystals whose band gaps are looked at by themselves

    @property
    def seed(self) -> int:
        """Seed of the split and of the first weights."""
        return SEED

    def prepare(self, path: Path) -> None:
        """Pack the graphs; a trunk to start from is taken from its checkpoint.

        Raises:
            CheckpointError: If the recipe starts from a checkpoint that is not there.
        """
        start: Any = checkpoints.load(self.learner.start_from).model if self.learner.start_from else None
        PropertyGraphs(pack(), trunk_of(start) if start else {}).save(path)

    def learn(self, arrays: Path, folder: Path, device: str, minutes: float | None = None) -> None:
        """Fit the ensemble and calibrate it."""
        runs.learn(self.name, replace(self.learner, seed=self.seed), arrays, folder, device, minutes)

    def describe(self, folder: Path) -> Checkpoint:
        """Judge what learning left in a folder as it is stored, and make it a checkpoint.

        Runs for comparison, in folders inside, are judged too. Graphs are packed again, but for those of the folder.

        Raises:
            ValueError: If the folder holds no run of this recipe.
        """
        settings = runs.read_settings(folder, self.name)
        model, graphs = read_run(folder), _packed(folder)
        log = runs.losses(folder / "losses.jsonl")
        run = settings["settings"] | {
            "epochs_run": len(log),
            "minutes_run": log[-1]["seconds"] / 60,
            "device": settings["processor"],
        }
        comparisons = {
            title: judge(read_run(folder / name), graphs, runs.read_settings(folder / name, name)["settings"]["split"])
            for title, name in COMPARISONS.items()
            if (folder / name).is_dir()
        }
        rounding.round_weights(model, self.precision)
        sources = [data.load(name) for name in SOURCES]
        metrics = judge(model, graphs, self.learner.split) | {"run": run} | comparisons
        checkpoint = Checkpoint(
            name=self.name,
            model_name="cgcnn",
            model=model,
            representation=CrystalGraph(tuple(graphs.facts["elements"]), cutoff=graphs.facts["cutoff"]),
            metrics=metrics,
            card="",
            provenance={
                "title": title(model.config),
                "system": SYSTEM,
                "level": CRYSTAL.key,
                **provenance(self.name, self.seed, *sources, run=settings),
            },
            precision=self.precision,
        )
        return with_card(replace(checkpoint, metrics=metrics | measured(self.apart(checkpoint))))

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Compute the figures of its card anew."""
        model: Any = checkpoint.model
        return judge(model, pack(), self.learner.split) | measured(self.apart(checkpoint))

    def apart(self, checkpoint: Checkpoint) -> Mapping[str, Callable[[], Any]]:
        """Where band gaps are predicted, how well those of non-metals are."""
        model: Any = checkpoint.model
        return {"non_metals": lambda: self._non_metals(checkpoint)} if GAP in model.config.properties else {}

    def _non_metals(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Predict the band gaps of some test crystals drawn at random."""
        dataset = load_crystal_properties()
        model: Any = checkpoint.model
        test = dataset.table[sides(dataset, SEED) == THREE_PARTS.index(TEST)].dropna(subset=[GAP])
        chosen = test.sample(min(self.n_gaps, len(test)), random_state=self.seed)
        found = predict(checkpoint, [_structure(row) for row in chosen.to_dict("records")])
        there = (found["problem"] == "").to_numpy()
        gaps, mean, std = (column.to_numpy(float)[there] for column in (chosen[GAP], found[GAP], found[f"{GAP}_std"]))
        factor = float(model.calibration[model.config.properties.index(GAP)])
        return non_metals(gaps, mean, std, factor)


def judge(model: CGCNN, graphs: PackedGraphs, split: str) -> dict[str, Any]:
    """Compute the figures of each property on the test side of a split.

    Args:
        model: A fitted ensemble.
        graphs: Packed graphs, on the CPU.
        split: Name of the split that the ensemble was fitted on.

    Returns:
        What metrics.json holds: headline, split, test (one dict a property), and where formation energies are
        predicted, the figures of those of one correction scheme as test_strict_energies.
    """
    config = model.config
    values = targets_of(graphs, config)
    rows = torch.nonzero(values.isfinite().any(1) & graphs.of_part(split, TEST))[:, 0]
    prediction = predict_rows(model, graphs, rows)
    figures = property_metrics(model, values[rows].numpy(), prediction)
    has_element = _has_element(graphs)[rows].numpy()
    natural = in_units(config, prediction).mean
    for column, name in enumerate(config.properties):
        errors = (natural[:, column] - graphs.column(name, log10=False)[rows]).abs().double().numpy()
        known = np.isfinite(errors)
        figures[name] |= worst_cases(errors[known], has_element[known], tuple(graphs.facts["elements"]))
    first = config.properties[0]
    metrics: dict[str, Any] = {
        "headline": headline(first, figures[first]),
        "split": f"80/10/10 by {split.replace('_', ' ')}, jointly over all data sets",
        "test": figures,
    }
    if first == ENERGY:
        strict = graphs.side("strict")[rows].bool()
        part = Prediction(prediction.mean[strict], prediction.std[strict])
        only = property_metrics(model, values[rows][strict].numpy(), part)
        metrics["test_strict_energies"] = {ENERGY: only[ENERGY]}
    return metrics


def title(config: CGCNNConfig) -> str:
    """Say what an ensemble predicts."""
    text = ", ".join(property_named(name).label for name in config.properties)
    return text[0].upper() + text[1:]


def headline(first: str, figures: dict[str, Any]) -> dict[str, str]:
    """Sum up an ensemble in the error of its first property."""
    told = property_named(first)
    return {
        "figure": f"mean absolute error of the {told.label}, unseen chemical systems",
        "ours": f"{figures['mae']:.3f} {told.unit}".strip(),
        "paper": f"{PAPER[first]:.3f} {told.unit} (random split)" if first == ENERGY else "none in these units",
    }


def _packed(folder: Path) -> PackedGraphs:
    """Return the graphs that a run in a folder learned from, if they lie there and are of the data of today."""
    if (folder / ARRAYS).is_file():
        graphs = PropertyGraphs.load(folder / ARRAYS).graphs
        if graphs.facts["sha256"] == _hashes():
            return graphs
    return pack()


def _hashes() -> dict[str, str]:
    return {name: data.load(name).sha256 for name in SOURCES}


def _has_element(graphs: PackedGraphs) -> torch.Tensor:
    """Return which elements each crystal holds, (S, n_elements)."""
    crystal = torch.arange(len(graphs)).repeat_interleave(graphs.n_sites)
    present = torch.zeros(len(graphs), len(graphs.facts["elements"]), dtype=torch.bool)
    present[crystal, graphs.species.long()] = True
    return present


def _graphs(dataset: Dataset, representation: CrystalGraph) -> Iterator[GraphBatch | str]:
    """Give the graph of each row, or why it has none."""
    for _, row in dataset.table.iterrows():
        try:
            yield representation.encode(_structure(row))
        except ValueError as error:
            yield f"{row['material_id']}: {error}"


def _structure(row: Any) -> Structure:
    """Return the crystal of a row; the joined table leaves empty what the row's own source does not have."""
    return data.structure({key: value for key, value in row.items() if isinstance(value, np.ndarray) or value == value})


def _random_side(identifier: str) -> int:
    """80/10/10 by a hash of the id, whatever the chemical system: the split of the paper."""
    share = int.from_bytes(blake2b(f"{SEED}:{identifier}".encode(), digest_size=8).digest()) / 2**64
    return int(np.searchsorted([0.8, 0.9], share, side="right"))
