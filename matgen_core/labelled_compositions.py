"""Formulas with properties as small arrays, and the training of DING's networks on them.

The arrays travel as one safetensors file, and this module needs torch alone, so that a bare GPU machine can train:

    python -m matgen_core.labelled_compositions formulas.safetensors --out run --minutes 8

Each network leaves its weights and losses in the folder by itself, so that two machines can share the work with
`--networks`; the prior needs the VAE and the guide of the same folder.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from matgen_core.compositions import FormulaArrays
from matgen_core.loops import Batch, Losses, Schedule, fit
from matgen_core.models._blocks import Gaussian
from matgen_core.models.ding import CONDITIONS, DING, DINGConfig
from matgen_core.models.formula_predictor import PROPERTIES, FormulaPredictor, FormulaPredictorConfig

# By chemical system. The generator is told the properties of the guide's group alone, the judge knows those of its own
# group alone, so what judges a generated formula has nothing from what asked for it.
GROUPS = ("guide", "judge", "validation", "test")
TRAINING = ("guide", "judge")
NETWORKS = ("vae", "guide", "prior", "predictor", "judge", "random_split")
# Shares of the time, about as much as each needs to stop getting better.
SHARES = {"vae": 0.2, "guide": 0.08, "prior": 0.27, "predictor": 0.2, "judge": 0.1, "random_split": 0.15}
CHUNK = 8192  # formulas that are worked on at once


@dataclass(frozen=True)
class DINGSchedule:
    """How each network learns; the minutes of each are its share of the whole."""

    minutes: float | None = None
    epochs: int = 2000
    batch_size: int = 2048
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    predictor_epochs: int = 400
    predictor_batch_size: int = 1024
    predictor_weight_decay: float = 3e-2
    prior_batch_size: int = 4096
    seed: int = 0

    def of(self, network: str) -> Schedule:
        """Return the schedule of one network."""
        minutes = None if self.minutes is None else self.minutes * SHARES[network]
        seed = self.seed + 100 * NETWORKS.index(network)
        if network in ("vae", "prior"):
            size = self.batch_size if network == "vae" else self.prior_batch_size
            return Schedule(self.epochs, size, self.learning_rate, self.weight_decay, seed=seed, minutes=minutes)
        return Schedule(
            self.predictor_epochs,
            self.predictor_batch_size,
            self.learning_rate,
            self.predictor_weight_decay,
            seed=seed,
            minutes=minutes,
        )


@dataclass(frozen=True, eq=False)
class LabelledFormulas:
    """Formulas with properties.

    Attributes:
        formulas: Elements and counts; their part is "train" for the first two groups and "held_out" for the others.
        values: (N, 4) float32 in the order of `PROPERTIES`, NaN where not known.
        group: (N,) int8, place in `GROUPS`; no chemical system is in two.
        random_test: (N,) bool, a tenth of the formulas drawn by row, as in the paper.
    """

    formulas: FormulaArrays
    values: Tensor
    group: Tensor
    random_test: Tensor

    def __len__(self) -> int:
        return len(self.group)

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        formulas = self.formulas
        tensors = {"species": formulas.species, "counts": formulas.counts, "part": formulas.part}
        tensors |= {"values": self.values, "group": self.group, "random_test": self.random_test}
        save_file(tensors, path, {"elements": json.dumps(formulas.elements)})

    @classmethod
    def load(cls, path: Path) -> "LabelledFormulas":
        """Read what `save` wrote."""
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            elements = tuple(json.loads(file.metadata()["elements"]))
        formulas = FormulaArrays(elements, *(tensors.pop(name) for name in ("species", "counts", "part")))
        return cls(formulas, **tensors)

    def to(self, device: str) -> "LabelledFormulas":
        """Return the same on another device."""
        return LabelledFormulas(
            self.formulas.to(device), self.values.to(device), self.group.to(device), self.random_test.to(device)
        )

    def rows_of(self, *groups: str) -> Tensor:
        """Return the rows of some groups."""
        places = torch.tensor([GROUPS.index(name) for name in groups], device=self.group.device)
        return torch.isin(self.group.long(), places).nonzero()[:, 0]

    def counts(self, rows: Tensor) -> Tensor:
        """Counts of some formulas, (B, n_elements) int64."""
        return self.formulas.dense(rows)

    def tables(self, rows: Tensor, max_count: int) -> Tensor:
        """Tables of some formulas with the column "absent", (B, n_elements, 1 + max_count)."""
        return F.one_hot(self.counts(rows), max_count + 1).float()


def train(
    arrays: LabelledFormulas,
    config: DINGConfig,
    schedule: DINGSchedule,
    device: str,
    folder: Path,
    networks: Sequence[str] = NETWORKS,
) -> DING:
    """Train some networks, each from its first weights; the others keep what the folder holds of them.

    Args:
        arrays: All groups.
        config: Sizes; the number of elements is replaced by that of the arrays.
        schedule: Rates and limits.
        device: "cpu" or "cuda".
        folder: Gets config.json, and for each network NAME.safetensors (float16, scales in float32),
            NAME_losses.jsonl; random_split.json for the predictor that is tested on formulas drawn by row.
        networks: Which, of `NETWORKS`.

    Raises:
        ValueError: If the prior is asked for and the folder lacks the VAE or the guide.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = arrays.to(device)
    config = dataclasses.replace(config, n_elements=len(arrays.formulas.elements))
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(config), indent=2) + "\n")
    for network in (name for name in NETWORKS if name in networks):
        torch.manual_seed(schedule.seed + 100 * NETWORKS.index(network))
        (folder / f"{network}_losses.jsonl").unlink(missing_ok=True)
        _TRAINERS[network](arrays, config, schedule.of(network), device, folder)
    return read_run(folder)


def _train_vae(arrays: LabelledFormulas, config: DINGConfig, schedule: Schedule, device: str, folder: Path) -> None:
    model = DING(config).to(device)
    model.standardize(arrays.values[arrays.rows_of("guide")])
    for part in (model.prior, model.predictor, model.judge):
        part.requires_grad_(False)
    rows, checked = arrays.rows_of(*TRAINING), arrays.rows_of("validation")[:20_000]
    told = _told(arrays)

    def transform(batch: Batch, rng: Generator) -> Batch:
        return arrays.tables(batch[0], config.max_count), told[batch[0]]

    def after_epoch(epoch: int) -> Losses:
        if (epoch + 1) % 5:
            return {}
        return {"validation_exact": float((differences(model, arrays, checked) == 0).float().mean())}

    log = folder / "vae_losses.jsonl"
    fit(model, (rows,), schedule, transform=transform, after_epoch=after_epoch, log=log)
    others = ("prior.", "predictor.", "judge.")
    _save({k: v for k, v in model.state_dict().items() if not k.startswith(others)}, folder / "vae.safetensors")


def _train_prior(arrays: LabelledFormulas, config: DINGConfig, schedule: Schedule, device: str, folder: Path) -> None:
    missing = [name for name in ("vae", "guide") if not (folder / f"{name}.safetensors").exists()]
    if missing:
        raise ValueError(f"{folder} has no {' and no '.join(missing)}; train that first, into the same folder")
    model = read_run(folder).to(device)
    guide = _read_predictor(folder / "guide.safetensors", _predictor_config(config)).to(device)
    prior = model.prior.requires_grad_(True)
    wanted = _guessed(arrays, guide)

    def posteriors(rows: Tensor) -> tuple[Tensor, Tensor]:
        found = encode(model, arrays, rows)
        return found.mean, found.log_var

    rows, unseen = arrays.rows_of(*TRAINING), arrays.rows_of("validation")[:20_000]
    known, held_out = posteriors(rows), posteriors(unseen)
    prior.standardize(*known)
    condition = model.condition_of(**dict(zip(CONDITIONS, wanted[unseen].T, strict=True)))

    def transform(batch: Batch, rng: Generator) -> Batch:
        mean, log_var, values = batch
        some = torch.rand(values.shape, generator=rng, device=device) < config.left_out
        values = values.masked_fill(some, torch.nan)
        return mean, log_var, model.condition_of(**dict(zip(CONDITIONS, values.T, strict=True)))

    @torch.no_grad()
    def after_epoch(epoch: int) -> Losses:
        if (epoch + 1) % 5:
            return {}
        rng = Generator(device).manual_seed(schedule.seed)
        return {"validation": float(prior.loss(*held_out, condition, rng=rng)["loss"])}

    log = folder / "prior_losses.jsonl"
    fit(prior, (*known, wanted[rows]), schedule, transform=transform, after_epoch=after_epoch, log=log)
    _save(prior.state_dict(), folder / "prior.safetensors")


def _train_on(
    name: str, groups: tuple[str, ...]
) -> Callable[[LabelledFormulas, DINGConfig, Schedule, str, Path], None]:
    """Return what trains a predictor on some groups, calibrates it on the validation group and saves it."""

    def run(arrays: LabelledFormulas, config: DINGConfig, schedule: Schedule, device: str, folder: Path) -> None:
        rows, checked = arrays.rows_of(*groups), arrays.rows_of("validation")
        _fit_predictor(name, arrays, rows, checked, config, schedule, device, folder)

    return run


def _train_random_split(
    arrays: LabelledFormulas, config: DINGConfig, schedule: Schedule, device: str, folder: Path
) -> None:
    """Train a predictor as the paper does: on formulas drawn by row, a tenth of them for the test."""
    rng = Generator(device).manual_seed(schedule.seed)
    rows = (~arrays.random_test).nonzero()[:, 0]
    rows = rows[torch.randperm(len(rows), generator=rng, device=device)]
    n_checked = len(rows) // 18  # of nine tenths, so a twentieth of all
    model = _fit_predictor("random_split", arrays, rows[n_checked:], rows[:n_checked], config, schedule, device, folder)
    errors = property_errors(model, arrays, arrays.random_test.nonzero()[:, 0])
    (folder / "random_split.json").write_text(json.dumps(errors, indent=2) + "\n")


def _fit_predictor(
    name: str,
    arrays: LabelledFormulas,
    rows: Tensor,
    checked: Tensor,
    config: DINGConfig,
    schedule: Schedule,
    device: str,
    folder: Path,
) -> FormulaPredictor:
    model = FormulaPredictor(_judge_config(config) if name == "judge" else _predictor_config(config)).to(device)
    # Rows with nothing but a band gap of 0 say little and are three quarters of all.
    gap_only = arrays.values[rows, :3].isnan().all(1)
    kept = ~gap_only | (arrays.values[rows, 3] > 0)
    rows = rows[kept]
    model.standardize(arrays.counts(rows), arrays.values[rows])

    def transform(batch: Batch, rng: Generator) -> Batch:
        return arrays.counts(batch[0]), arrays.values[batch[0]]

    def after_epoch(epoch: int) -> Losses:
        if (epoch + 1) % 5:
            return {}
        found = property_errors(model, arrays, checked)
        return {f"validation_{key}": found[key]["mae"] for key in CONDITIONS if key in found}

    fit(model, (rows,), schedule, transform=transform, after_epoch=after_epoch, log=folder / f"{name}_losses.jsonl")
    model.calibrate(arrays.counts(checked), arrays.values[checked])
    _save(model.state_dict(), folder / f"{name}.safetensors")
    # What is tested is what is kept, rounded.
    return _read_predictor(folder / f"{name}.safetensors", model.config).to(device)


_TRAINERS: dict[str, Callable[[LabelledFormulas, DINGConfig, Schedule, str, Path], None]] = {
    "vae": _train_vae,
    "guide": _train_on("guide", ("guide",)),
    "prior": _train_prior,
    "predictor": _train_on("predictor", TRAINING),
    "judge": _train_on("judge", ("judge",)),
    "random_split": _train_random_split,
}


def _told(arrays: LabelledFormulas) -> Tensor:
    """What the VAE is told of each formula, (N, 3): what is known of the guide's group, NaN elsewhere."""
    others = arrays.group != GROUPS.index("guide")
    return arrays.values[:, :3].masked_fill(others.unsqueeze(1), torch.nan)


@torch.no_grad()
def _guessed(arrays: LabelledFormulas, guide: FormulaPredictor) -> Tensor:
    """Properties (N, 3): what is known of the guide's group, and what the guide predicts of all else."""
    rows = torch.arange(len(arrays), device=arrays.group.device)
    predicted = torch.cat([guide(arrays.counts(part))[0][:, :3] for part in rows.split(CHUNK)])
    told = _told(arrays)
    return torch.where(told.isnan(), predicted, told)


@torch.no_grad()
def encode(model: DING, arrays: LabelledFormulas, rows: Tensor, told: Tensor | None = None) -> Gaussian:
    """Return q(z | formula) of some formulas, (B, latent_dim).

    Args:
        model: On the device of the arrays.
        arrays: Formulas.
        rows: Which.
        told: Properties (B, 3) that the encoder is told; nothing if not given.
    """
    found = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        x = arrays.tables(part, model.config.max_count)
        found.append(model.encode(x, None if told is None else _condition(model, told[start : start + CHUNK])))
    return Gaussian(torch.cat([q.mean for q in found]), torch.cat([q.log_var for q in found]))


@torch.no_grad()
def differences(model: DING, arrays: LabelledFormulas, rows: Tensor, told: Tensor | None = None) -> Tensor:
    """By how many units all counts together differ after encoding and decoding, (B,) int64; 0 is exact."""
    z = encode(model, arrays, rows, told).mean
    found = []
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        condition = None if told is None else _condition(model, told[part])
        back = model.decode(z[part], condition).argmax(-1)
        found.append((back - arrays.counts(rows[part])).abs().sum(1))
    return torch.cat(found)


def _condition(model: DING, values: Tensor) -> Tensor:
    return model.condition_of(**dict(zip(CONDITIONS, values.T, strict=True)))


@torch.no_grad()
def property_errors(model: FormulaPredictor, arrays: LabelledFormulas, rows: Tensor) -> dict[str, dict[str, float]]:
    """Mean absolute error, R^2, how many, and the share within two standard deviations, for each property known."""
    parts = [model.predict(arrays.counts(part)) for part in rows.split(CHUNK)]
    mean, std = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    found = {}
    for i, name in enumerate(PROPERTIES):
        known = ~arrays.values[rows, i].isnan()
        if not known.any():
            continue
        true, guess = arrays.values[rows, i][known].double(), mean[:, i][known].double()
        error = guess - true
        found[name] = {
            "mae": float(error.abs().mean()),
            "r2": float(1 - error.square().sum() / (true - true.mean()).square().sum()),
            "n": int(known.sum()),
            "within_two_std": float((error.abs() <= 2 * std[:, i][known]).double().mean()),
        }
    return found


@torch.no_grad()
def draw(
    model: DING, wanted: Mapping[str, float], n_samples: int, seed: int, guidance: float | None = None
) -> tuple[Tensor, Tensor]:
    """Draw formulas under wanted properties.

    Args:
        model: The networks, on any device.
        wanted: Values by property; draws from the whole prior if empty.
        n_samples: How many.
        seed: The same seed draws the same formulas on a device.
        guidance: In place of that of the config.

    Returns:
        Latent points (n_samples, latent_dim) and counts (n_samples, n_elements); a row of 0 is no formula.
    """
    device = model.condition_mean.device
    noise = torch.randn(n_samples, model.latent_dim, generator=Generator().manual_seed(seed)).to(device)
    condition = model.condition(wanted) if wanted else None
    points, counts = [], []
    for part in noise.split(CHUNK):
        asked = None if condition is None else condition.expand(len(part), -1)
        z = model.prior.sample(part, asked, guidance=guidance)
        points.append(z)
        counts.append(model.decode(z).argmax(-1))
    return torch.cat(points), torch.cat(counts)


@torch.no_grad()
def near(
    judge: FormulaPredictor, counts: Tensor, wanted: Mapping[str, float], tolerance: Mapping[str, float]
) -> Tensor:
    """Whether judged properties lie as near to the wanted ones as they may, (B, n_wanted); empty formulas never do."""
    mean = torch.cat([judge.predict(part)[0] for part in counts.split(CHUNK)])
    made = (counts > 0).any(1)
    columns = [
        ((mean[:, PROPERTIES.index(name)] - value).abs() <= tolerance[name]) & made for name, value in wanted.items()
    ]
    return torch.stack(columns, 1)


def hits(
    judge: FormulaPredictor, counts: Tensor, wanted: Mapping[str, float], tolerance: Mapping[str, float]
) -> dict[str, float]:
    """Share of all formulas that hit each wanted value, that hit all of them, and that are empty."""
    found = near(judge, counts, wanted, tolerance)
    shares = dict(zip(wanted, found.float().mean(0).tolist(), strict=True))
    return {
        "all": float(found.all(1).float().mean()),
        **shares,
        "empty": float((counts == 0).all(1).float().mean()),
    }


def read_run(folder: Path, guidance: float | None = None) -> DING:
    """Return the networks of a run, on the CPU; those that are not there have their first weights.

    Args:
        folder: What `train` left.
        guidance: In place of that of the stored configuration; no network depends on it.
    """
    config = read_config(folder)
    model = DING(config if guidance is None else dataclasses.replace(config, guidance=guidance))
    state = model.state_dict()
    for name, prefix in (("vae", ""), ("prior", "prior."), ("predictor", "predictor."), ("judge", "judge.")):
        if (folder / f"{name}.safetensors").exists():
            state |= {prefix + key: value for key, value in load_file(folder / f"{name}.safetensors").items()}
    model.load_state_dict(state, strict=True)
    return model.eval()


def read_config(folder: Path) -> DINGConfig:
    """Return the configuration that a run left in a folder."""
    return DINGConfig(**json.loads((folder / "config.json").read_text()))


def round_weights(model: nn.Module) -> nn.Module:
    """Turn what was learned into float16, in place; scales keep their float32."""
    for weight in model.parameters():
        weight.data = weight.data.half()
    return model


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    """Write weights in float16 and scales, which are few, in float32."""
    stored = {}
    for name, tensor in tensors.items():
        exact = name.rsplit(".", 1)[-1] in _SCALES
        stored[name] = (tensor if exact else tensor.half()).detach().cpu().contiguous()
    save_file(stored, path)


_SCALES = {name for name, _ in DING(DINGConfig(n_elements=2, hidden=8)).named_buffers()}
_SCALES = {name.rsplit(".", 1)[-1] for name in _SCALES}


def _predictor_config(config: DINGConfig) -> FormulaPredictorConfig:
    return DING(config).predictor.config


def _judge_config(config: DINGConfig) -> FormulaPredictorConfig:
    return DING(config).judge.config


def _read_predictor(path: Path, config: FormulaPredictorConfig) -> FormulaPredictor:
    model = FormulaPredictor(config)
    model.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return model.eval()


def quick_look(model: DING, arrays: LabelledFormulas, device: str, seed: int = 0) -> dict[str, Any]:
    """Say how a run went: what comes back, errors of the predictors, hits for two requests."""
    model, arrays = model.to(device), arrays.to(device)
    test = arrays.rows_of("test")
    found: dict[str, Any] = {
        "exact": float((differences(model, arrays, test) == 0).float().mean()),
        "predictor": property_errors(model.predictor, arrays, test),
        "judge": property_errors(model.judge, arrays, test),
    }
    tolerance = dict(zip(CONDITIONS, (0.1, 1.0, 0.1), strict=True))
    for wanted in (dict(zip(CONDITIONS, (-2.0, 12.0, -6.5), strict=True)), {"formation_energy_per_atom": -1.0}):
        for guidance in (0.0, 1.0, 2.0, 3.0):
            _, counts = draw(model, wanted, 4096, seed, guidance)
            key = "/".join(f"{value:g}" for value in wanted.values())
            found[f"hits {key} guidance {guidance:g}"] = hits(model.judge, counts, wanted, tolerance)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Train from the command line, on arrays that were prepared elsewhere."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arrays", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, configuration and losses")
    parser.add_argument("--minutes", type=float, default=8.0, help="wall-clock limit of all networks together")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="which, separated by commas")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--config", type=json.loads, default={}, help='fields of DINGConfig as JSON: {"beta": 0.05}')
    parser.add_argument("--schedule", type=json.loads, default={}, help="fields of DINGSchedule as JSON")
    given = parser.parse_args(arguments)
    networks = given.networks.split(",")
    if strange := [name for name in networks if name not in NETWORKS]:
        parser.error(f"--networks {','.join(strange)}: expected some of {','.join(NETWORKS)}")
    torch.set_float32_matmul_precision("high")
    arrays = LabelledFormulas.load(given.arrays)
    # The time is shared out among the networks that are trained.
    share = sum(SHARES[name] for name in networks)
    schedule = DINGSchedule(**{"minutes": given.minutes / share} | given.schedule)
    model = train(arrays, DINGConfig(**given.config), schedule, given.device, given.out, networks)
    look = quick_look(model, arrays, given.device)
    (given.out / "look.json").write_text(json.dumps(look, indent=2) + "\n")
    print(json.dumps(look, indent=2))


if __name__ == "__main__":
    main()
