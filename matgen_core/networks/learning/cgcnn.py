"""The training of the property networks on packed graphs."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor

from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.graphs import PackedGraphs
from matgen_core.networks.arrays.splits import TRAIN, VAL
from matgen_core.networks.learning import runs
from matgen_core.networks.learning.loops import Losses, Schedule, fit
from matgen_core.networks.models.cgcnn import CGCNN, CGCNNConfig, Prediction

ONE_SIGMA = 0.6827  # share of a normal distribution within one standard deviation
SITES_A_CHUNK = {"cpu": 96, "cuda": 12_000}  # what stays in the cache of a core; what fills a GPU


@dataclass(frozen=True, eq=False)
class PropertyGraphs(tensors.Stored):
    """What property networks learn from.

    Attributes:
        graphs: Crystals with their known properties.
        trunk: Weights of the ensemble that learning starts from, by name, without its heads; none to start anew.
    """

    graphs: PackedGraphs
    trunk: dict[str, Tensor]


@dataclass(frozen=True)
class CGCNNLearner:
    """Settings of a run: properties that one network learns together, and how."""

    Arrays: ClassVar[Any] = PropertyGraphs

    properties: tuple[str, ...]
    schedule: Schedule
    log10: tuple[str, ...] = ()
    nonnegative: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    start_from: str | None = None  # the checkpoint whose trunk this one starts from
    split: str = "chemical_system"
    dropout: float = 0.0
    members: int = 5
    paper_design: bool = False  # sizes of the paper, edges that do not learn
    tf32: bool = True  # a GPU multiplies float32 matrices in TF32
    fuse: bool = False  # compile the convolutions; worth its minute on a GPU in runs of several
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used."""
        (limit,) = runs.shared_out(minutes, self.schedule.minutes)
        schedule = replace(self.schedule, seed=self.seed, minutes=limit)
        return replace(self, schedule=schedule, tf32=self.tf32 and device == "cuda")

    def learn(self, arrays: PropertyGraphs, folder: Path, device: str) -> None:
        """Train.

        Raises:
            ValueError: If the arrays bring no trunk to start from, and one is wanted.
        """
        with runs.products_in_tf32(self.tf32):
            fit_task(self, PropertyGraphs(arrays.graphs.to(device), arrays.trunk), folder)


ENERGY = CGCNNLearner(
    properties=("formation_energy_per_atom", "energy_above_hull", "band_gap"),
    nonnegative=("energy_above_hull", "band_gap"),
    weights=(3.0, 1.0, 1.0),
    schedule=Schedule(epochs=200, batch_size=256, learning_rate=1e-3, weight_decay=1e-4, warmup=0.05, minutes=6.0),
)
ELASTIC = CGCNNLearner(
    properties=("bulk_modulus", "shear_modulus", "poisson_ratio"),
    log10=("bulk_modulus", "shear_modulus"),
    start_from="cgcnn_energy",
    dropout=0.1,
    schedule=Schedule(epochs=60, batch_size=128, learning_rate=5e-4, weight_decay=1e-2, minutes=1.5),
)
DIELECTRIC = CGCNNLearner(
    properties=("eps_electronic", "refractive_index"),
    log10=("eps_electronic", "refractive_index"),
    start_from="cgcnn_energy",
    dropout=0.1,
    schedule=Schedule(epochs=60, batch_size=64, learning_rate=5e-4, weight_decay=1e-2, minutes=1.0),
)


def network_config(task: CGCNNLearner, n_elements: int, cutoff: float) -> CGCNNConfig:
    """Return the sizes of the network for a task."""
    config = CGCNNConfig(
        n_elements=n_elements,
        cutoff=cutoff,
        **{name: getattr(task, name) for name in ("properties", "log10", "nonnegative", "weights", "members")},
        dropout=task.dropout,
    )
    if task.paper_design:
        return replace(config, node_dim=64, edge_dim=41, hidden=128, n_convolutions=3, edge_updates=False)
    return config


def targets_of(graphs: PackedGraphs, config: CGCNNConfig) -> Tensor:
    """Return what a network learns, (S, n_properties): values or their logarithms, NaN where unknown."""
    return torch.stack([graphs.column(name, name in config.log10) for name in config.properties], 1)


def predict_rows(model: CGCNN, graphs: PackedGraphs, rows: Tensor) -> Prediction:
    """Predict for rows of packed graphs, in order."""
    limit = SITES_A_CHUNK[rows.device.type]
    chunks = (graphs.n_sites[rows].cumsum(0) - 1).div(limit, rounding_mode="floor")
    sizes = torch.unique_consecutive(chunks, return_counts=True)[1].tolist()
    parts = [model.predict(*graphs.batch(chunk), len(chunk)) for chunk in torch.split(rows, sizes)]
    return Prediction(torch.cat([part.mean for part in parts]), torch.cat([part.std for part in parts]))


def fit_task(task: CGCNNLearner, arrays: PropertyGraphs, folder: Path, config: CGCNNConfig | None = None) -> CGCNN:
    """Train an ensemble on the training side and calibrate its uncertainty on the validation side.

    Args:
        task: What to learn; its `schedule` says how long.
        arrays: Graphs on the device to train on, and the trunk to start from.
        folder: Gets losses.jsonl, config.json and, every tenth epoch and at the end, weights.safetensors.
        config: Network in place of the one that the task has by itself, of the sizes of the trunk.

    Raises:
        ValueError: If the task starts from a trunk and the arrays have none.
    """
    graphs, trunk = arrays.graphs, arrays.trunk
    if task.start_from and not trunk:
        raise ValueError(f"this run starts from the trunk of {task.start_from}, which these arrays do not hold")
    (folder / "losses.jsonl").unlink(missing_ok=True)
    device = graphs.species.device
    config = config or network_config(task, len(graphs.facts["elements"]), graphs.facts["cutoff"])
    runs.write_config(config, folder)
    with torch.random.fork_rng(devices=[]):  # first weights take no generator
        torch.manual_seed(task.schedule.seed)
        model = CGCNN(config).to(device)
    if task.fuse:
        for convolution in model.convolutions:
            convolution.compile(dynamic=True)
    values = targets_of(graphs, config)
    known = values.isfinite().any(1)
    rows, watched = (torch.nonzero(known & graphs.of_part(task.split, part))[:, 0] for part in (TRAIN, VAL))
    learned = values[rows]
    for column, one in enumerate(learned.unbind(1)):
        one = one[one.isfinite()]
        model.center[column], model.spread[column] = one.mean(), one.std()
    if task.start_from:
        model.load_state_dict(model.state_dict() | trunk, strict=True)

    def draw(batch: tuple[Tensor, ...], rng: Generator) -> tuple[Tensor, ...]:
        return *graphs.batch(batch[0]), values[batch[0]]

    def watch(epoch: int) -> Losses:
        if (epoch + 1) % 10:
            return {}
        runs.save_exact_weights(model, folder)
        errors = (predict_rows(model, graphs, watched).mean - values[watched]).abs().nanmean(0)
        return {f"validation_mae_{name}": float(error) for name, error in zip(config.properties, errors, strict=True)}

    fit(model, (rows,), task.schedule, transform=draw, after_epoch=watch, log=folder / "losses.jsonl")
    calibrate(model, graphs, watched, values[watched])
    runs.save_exact_weights(model, folder)
    return model


def calibrate(model: CGCNN, graphs: PackedGraphs, rows: Tensor, wanted: Tensor) -> None:
    """Set one factor a property, so that 68.27 % of these rows lie within one standard deviation."""
    model.calibration.fill_(1.0)
    prediction = predict_rows(model, graphs, rows)
    ratios = (wanted - prediction.mean).abs() / prediction.std
    model.calibration.copy_(torch.nanquantile(ratios, ONE_SIGMA, dim=0))


def read_run(folder: Path) -> CGCNN:
    """Return the ensemble that a run left in a folder, on the CPU."""
    return runs.read_weights(CGCNN(CGCNNConfig(**runs.read_config(folder))), folder)


def trunk_of(model: CGCNN) -> dict[str, Tensor]:
    """Return all weights but those of the two heads and the statistics of the properties."""
    own = {"mean", "log_scale", "center", "spread", "calibration"}
    return {name: tensor for name, tensor in model.state_dict().items() if name.split(".")[0] not in own}
