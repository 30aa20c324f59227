"""Fit the property networks to packed graphs; torch only, so that it also runs where pymatgen is not.

`python -m matgen_core.networks.learning.cgcnn GRAPHS OUT TASK...` fits tasks one after the other.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor

from matgen_core.networks.arrays.graphs import TRAIN, VALIDATION, PackedGraphs, load
from matgen_core.networks.learning.loops import Losses, Schedule, fit
from matgen_core.networks.models.cgcnn import CGCNN, CGCNNConfig, Prediction

ONE_SIGMA = 0.6827  # share of a normal distribution within one standard deviation
SITES_A_CHUNK = {"cpu": 96, "cuda": 12_000}  # what stays in the cache of a core; what fills a GPU


@dataclass(frozen=True)
class Task:
    """Properties that one network learns together, and how."""

    properties: tuple[str, ...]
    schedule: Schedule
    log10: tuple[str, ...] = ()
    nonnegative: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    start_from: str | None = None  # the task whose trunk this one starts from
    split: str = "chemical_system"
    dropout: float = 0.0
    members: int = 5
    paper_design: bool = False  # sizes of the paper, edges that do not learn


ENERGY = Task(
    properties=("formation_energy_per_atom", "energy_above_hull", "band_gap"),
    nonnegative=("energy_above_hull", "band_gap"),
    weights=(3.0, 1.0, 1.0),
    schedule=Schedule(epochs=200, batch_size=256, learning_rate=1e-3, weight_decay=1e-4, warmup=0.05, minutes=6.0),
)
TASKS: dict[str, Task] = {
    "cgcnn_energy": ENERGY,
    "cgcnn_elastic": Task(
        properties=("bulk_modulus", "shear_modulus", "poisson_ratio"),
        log10=("bulk_modulus", "shear_modulus"),
        start_from="cgcnn_energy",
        dropout=0.1,
        schedule=Schedule(epochs=60, batch_size=128, learning_rate=5e-4, weight_decay=1e-2, minutes=1.5),
    ),
    "cgcnn_dielectric": Task(
        properties=("eps_electronic", "refractive_index"),
        log10=("eps_electronic", "refractive_index"),
        start_from="cgcnn_energy",
        dropout=0.1,
        schedule=Schedule(epochs=60, batch_size=64, learning_rate=5e-4, weight_decay=1e-2, minutes=1.0),
    ),
    # For comparison only; no checkpoint is made of these.
    "energy_random_split": replace(ENERGY, split="random", members=2),
    "energy_paper_design": replace(ENERGY, weights=(), members=2, paper_design=True),
}


def network_config(task: Task, n_elements: int, cutoff: float) -> CGCNNConfig:
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


def fit_task(
    task: Task,
    graphs: PackedGraphs,
    *,
    config: CGCNNConfig | None = None,
    start: CGCNN | None = None,
    log: Path | None = None,
    save_to: Path | None = None,
    fuse: bool = False,
) -> tuple[CGCNN, dict[str, Any]]:
    """Train an ensemble on the training side and calibrate its uncertainty on the validation side.

    Args:
        task: What to learn; its `schedule` says how long.
        graphs: Packed graphs on the device to train on.
        config: Network in place of the one that the task has by itself.
        start: Ensemble whose trunk is taken over, of the same sizes; the heads start anew.
        log: A file that gets one JSON line an epoch.
        save_to: File that gets the weights every tenth epoch and at the end.
        fuse: Compile the convolutions; worth its minute on a GPU in runs of several.

    Returns:
        The ensemble, and what the run was: the fields of the task, epochs and minutes that it took, the device.

    Raises:
        ValueError: If the task starts from another one and `start` is not given.
    """
    if task.start_from and start is None:
        raise ValueError(f"this task starts from the trunk of {task.start_from}; give its weights, or fit it first")
    device = graphs.species.device
    config = config or network_config(task, len(graphs.facts["elements"]), graphs.facts["cutoff"])
    with torch.random.fork_rng(devices=[]):  # first weights take no generator
        torch.manual_seed(task.schedule.seed)
        model = CGCNN(config).to(device)
    if fuse:
        for convolution in model.convolutions:
            convolution.compile(dynamic=True)
    values = targets_of(graphs, config)
    side = graphs.side(task.split)
    known = values.isfinite().any(1)
    rows, watched = (torch.nonzero(known & (side == number))[:, 0] for number in (TRAIN, VALIDATION))
    learned = values[rows]
    for column, one in enumerate(learned.unbind(1)):
        one = one[one.isfinite()]
        model.center[column], model.spread[column] = one.mean(), one.std()
    if start is not None:
        _take_trunk(model, start)

    def draw(batch: tuple[Tensor, ...], rng: Generator) -> tuple[Tensor, ...]:
        return *graphs.batch(batch[0]), values[batch[0]]

    def watch(epoch: int) -> Losses:
        if (epoch + 1) % 10:
            return {}
        if save_to:
            save_weights(model, save_to, asdict(task))
        errors = (predict_rows(model, graphs, watched).mean - values[watched]).abs().nanmean(0)
        return {f"validation_mae_{name}": float(error) for name, error in zip(config.properties, errors, strict=True)}

    history = fit(model, (rows,), task.schedule, transform=draw, after_epoch=watch, log=log)
    calibrate(model, graphs, watched, values[watched])
    run = asdict(task) | {
        "epochs_run": len(history),
        "minutes_run": history[-1]["seconds"] / 60,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }
    if save_to:
        save_weights(model, save_to, run)
    return model, run


def calibrate(model: CGCNN, graphs: PackedGraphs, rows: Tensor, wanted: Tensor) -> None:
    """Set one factor a property, so that 68.27 % of these rows lie within one standard deviation."""
    model.calibration.fill_(1.0)
    prediction = predict_rows(model, graphs, rows)
    ratios = (wanted - prediction.mean).abs() / prediction.std
    model.calibration.copy_(torch.nanquantile(ratios, ONE_SIGMA, dim=0))


def save_weights(model: CGCNN, path: Path, run: dict[str, Any]) -> None:
    """Write weights with the configuration that they belong to and what made them."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, path, metadata={"config": json.dumps(asdict(model.config)), "run": json.dumps(run)})


def load_weights(path: Path) -> tuple[CGCNN, dict[str, Any]]:
    """Read an ensemble that `save_weights` wrote, and what made it."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    stored = json.loads(metadata["config"]).items()
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored}
    model = CGCNN(CGCNNConfig(**values))
    model.load_state_dict(tensors, strict=True)
    return model.eval(), json.loads(metadata["run"])


def _take_trunk(model: CGCNN, start: CGCNN) -> None:
    """Copy all weights but those of the two heads and the statistics of the properties."""
    own = {"mean", "log_scale", "center", "spread", "calibration"}
    taken = {name: tensor for name, tensor in start.state_dict().items() if name.split(".")[0] not in own}
    model.load_state_dict(model.state_dict() | taken, strict=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit the tasks that the command line names, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", type=Path, help="packed graphs")
    parser.add_argument("out", type=Path, help="folder for weights and logs; trunks to start from are looked for here")
    parser.add_argument("tasks", nargs="+", help=f"NAME or NAME=MINUTES; names: {', '.join(TASKS)}")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--epochs", type=int, help="in place of each task's own")
    parser.add_argument("--batch-size", type=int, help="in place of each task's own")
    parser.add_argument("--fuse", action="store_true", help="compile the convolutions")
    parser.add_argument("--bfloat16", action="store_true", help="compute products in bfloat16")
    options = parser.parse_args(arguments)
    torch.set_float32_matmul_precision("high")
    graphs = load(options.graphs).to(options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    for chosen in options.tasks:
        name, _, minutes = chosen.partition("=")
        if name not in TASKS:
            parser.error(f"{name!r} is no task; known: {', '.join(TASKS)}")
        task = TASKS[name]
        changes: dict[str, Any] = {"bfloat16": options.bfloat16}
        if minutes:
            # The clock rules: as many epochs as fit.
            changes |= {"minutes": float(minutes), "epochs": 10_000 if not task.start_from else task.schedule.epochs}
        if options.epochs:
            changes["epochs"] = options.epochs
        if options.batch_size:
            changes["batch_size"] = options.batch_size
        task = replace(task, schedule=replace(task.schedule, **changes))
        start = load_weights(options.out / f"{task.start_from}.safetensors")[0] if task.start_from else None
        log = options.out / f"{name}.jsonl"
        log.unlink(missing_ok=True)
        began = time.perf_counter()
        fit_task(task, graphs, start=start, log=log, save_to=options.out / f"{name}.safetensors", fuse=options.fuse)
        lines = log.read_text().splitlines()
        sys.stderr.write(f"{name}: {len(lines)} epochs, {time.perf_counter() - began:.0f} s, last: {lines[-1]}\n")


if __name__ == "__main__":
    main()
