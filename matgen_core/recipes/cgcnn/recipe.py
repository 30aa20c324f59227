"""Recipes of the eight property networks: pack the graphs, fit, judge on unseen chemical systems, describe.

`matgen train cgcnn_energy` does all of it. Where the GPU is on a machine without pymatgen, `cgcnn_steps` does it apart.

Reference: Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018), doi:10.1103/PhysRevLett.120.145301
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from pymatgen.core import Element

from matgen_core import checkpoint as checkpoints
from matgen_core import data
from matgen_core.checkpoint import Checkpoint
from matgen_core.data.dataset import Dataset
from matgen_core.materials.properties import LABELS, UNITS
from matgen_core.networks.arrays import graphs as packed_graphs
from matgen_core.networks.arrays.graphs import TEST, PackedGraphs
from matgen_core.networks.learning import rounding
from matgen_core.networks.learning.cgcnn import TASKS, fit_task, predict_rows, targets_of
from matgen_core.networks.models.cgcnn import CGCNN, CGCNNConfig, Prediction, in_units
from matgen_core.recipes.cgcnn.data import PROPERTIES, SOURCES, STRICT_SOURCES, load_crystal_properties, sides
from matgen_core.recipes.cgcnn.figures import PAPER, property_metrics, worst_cases
from matgen_core.recipes.shared.card import with_card
from matgen_core.recipes.shared.runs import provenance
from matgen_core.representations.crystal_graph import CrystalGraph, GraphBatch

SYSTEM = "Court 2020, iCSG3D (its property networks: Xie 2018, CGCNN)"
ENERGY = "formation_energy_per_atom"
SEED = 0


def pack(path: Path) -> None:
    """Build the graphs of all crystals with a known property and write them to one file.

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
    packed_graphs.save(
        path,
        graphs,
        values=table[list(PROPERTIES)].to_numpy(np.float32),
        sides=np.stack([of_row, random_side, strict], 1).astype(np.uint8),
        facts={
            "elements": elements,
            "properties": PROPERTIES,
            "splits": ["chemical_system", "random", "strict"],
            "cutoff": representation.cutoff,
            "refused": refused,
            "sha256": {name: data.load(name).sha256 for name in SOURCES},
        },
    )
    sys.stderr.write(f"packed {len(graphs):,} graphs; left out {len(refused)}: {'; '.join(refused[:3])}\n")


@dataclass(frozen=True)
class CGCNNRecipe:
    """Fit an ensemble to some of the eight properties; the settings are those of the task of the same name."""

    name: str
    eight_bits: bool = True  # otherwise float16

    @property
    def seed(self) -> int:
        """Seed of the split and of the first weights."""
        return SEED

    def run(self, device: str) -> Checkpoint:
        """Pack, fit, judge and describe; a trunk to start from is taken from its checkpoint.

        Raises:
            CheckpointError: If the recipe starts from a checkpoint that is not there.
        """
        task = TASKS[self.name]
        start: Any = checkpoints.load(task.start_from).model if task.start_from else None
        with TemporaryDirectory() as folder:
            pack(Path(folder) / "graphs.safetensors")
            graphs = packed_graphs.load(Path(folder) / "graphs.safetensors")
            model, run = fit_task(task, graphs.to(device), start=start, log=Path(folder) / "log.jsonl")
        return self.finish(model.cpu(), graphs, run, {})

    def finish(
        self, model: CGCNN, graphs: PackedGraphs, run: dict[str, Any], comparisons: dict[str, Any]
    ) -> Checkpoint:
        """Judge a fitted ensemble as it is stored, and make it a checkpoint.

        Args:
            model: The ensemble.
            graphs: Packed graphs, on the CPU.
            run: What `fit_task` says of the run.
            comparisons: Figures of other networks, to stand in metrics.json under their titles.
        """
        if self.eight_bits:
            rounding.round_weights(model)
        else:
            for parameter in model.parameters():
                parameter.data = parameter.data.half().float()
        sources = [data.load(name) for name in SOURCES]
        metrics = judge(model, graphs, TASKS[self.name].split) | {"run": run} | comparisons
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
                "level": "structure",
                **provenance(self.name, self.seed, *sources),
            },
            eight_bits=self.eight_bits,
        )
        checkpoint = with_card(checkpoint)
        if not self.eight_bits:
            for parameter in model.parameters():
                parameter.data = parameter.data.half()
        return checkpoint

    def evaluate(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Compute the figures of its card anew."""
        with TemporaryDirectory() as folder:
            pack(Path(folder) / "graphs.safetensors")
            graphs = packed_graphs.load(Path(folder) / "graphs.safetensors")
        model: Any = checkpoint.model
        return judge(model, graphs, TASKS[self.name].split)


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
    rows = torch.nonzero(values.isfinite().any(1) & (graphs.side(split) == TEST))[:, 0]
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
    text = ", ".join(LABELS[name] for name in config.properties)
    return text[0].upper() + text[1:]


def headline(first: str, figures: dict[str, Any]) -> dict[str, str]:
    """Sum up an ensemble in the error of its first property."""
    return {
        "figure": f"mean absolute error of the {LABELS[first]}, unseen chemical systems",
        "ours": f"{figures['mae']:.3f} {UNITS[first]}".strip(),
        "paper": f"{PAPER[first]:.3f} {UNITS[first]} (random split)" if first == ENERGY else "none in these units",
    }


def _has_element(graphs: PackedGraphs) -> torch.Tensor:
    """Return which elements each crystal holds, (S, n_elements)."""
    crystal = torch.arange(len(graphs)).repeat_interleave(graphs.n_sites)
    present = torch.zeros(len(graphs), len(graphs.facts["elements"]), dtype=torch.bool)
    present[crystal, graphs.species.long()] = True
    return present


def _graphs(dataset: Dataset, representation: CrystalGraph) -> Iterator[GraphBatch | str]:
    """Give the graph of each row, or why it has none."""
    for _, row in dataset.table.iterrows():
        present = {name: value for name, value in row.items() if isinstance(value, np.ndarray) or value == value}
        try:
            yield representation.encode(data.structure(present))
        except ValueError as error:
            yield f"{row['material_id']}: {error}"


def _random_side(identifier: str) -> int:
    """80/10/10 by a hash of the id, whatever the chemical system: the split of the paper."""
    share = int.from_bytes(blake2b(f"{SEED}:{identifier}".encode(), digest_size=8).digest()) / 2**64
    return int(np.searchsorted([0.8, 0.9], share, side="right"))
