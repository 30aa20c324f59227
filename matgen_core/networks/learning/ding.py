"""The training of DING's networks on formulas with properties.

Each network leaves its weights and losses in the folder by itself, so that two machines can share the work with
`--networks`; the prior needs the VAE and the guide of the same folder, the sharper prior also the prior.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import load_file
from torch import Generator, Tensor

from matgen_core.jobs.files.outputs import write_text
from matgen_core.networks.arrays import tensors
from matgen_core.networks.arrays.formulas import CHUNK, LabelledFormulas
from matgen_core.networks.arrays.splits import GROUPS, TRAINING_GROUPS
from matgen_core.networks.learning import runs
from matgen_core.networks.learning.loops import Batch, Losses, Schedule, fit
from matgen_core.networks.models.ding import CONDITIONS, DING, DINGConfig
from matgen_core.networks.models.parts.blocks import Gaussian
from matgen_core.networks.models.parts.formula_predictor import PROPERTIES, FormulaPredictor, FormulaPredictorConfig

NETWORKS = ("vae", "guide", "prior", "sharper_prior", "predictor", "judge", "random_split")
# Shares of the time, about as much as each needs to stop getting better; the sharper prior has its own limit.
SHARES = {"vae": 0.2, "guide": 0.08, "prior": 0.27, "predictor": 0.2, "judge": 0.1, "random_split": 0.15}
Trainer = Callable[[LabelledFormulas, DINGConfig, "DINGSchedule", str, Path], None]


@dataclass(frozen=True)
class DINGSchedule:
    """How each network learns; the minutes of each are its share of the whole.

    The sharper prior goes on from the prior: latent points are the means of the posteriors, and most of the times at
    which it learns are those at which the way to one formula parts from the ways to others. Started from training
    points mixed with noise, the prior ends with as many elements as they have from time 0.8 on, and with too few from
    any time before 0.6.
    """

    minutes: float | None = None
    epochs: int = 2000
    batch_size: int = 2048
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    predictor_epochs: int = 400
    predictor_batch_size: int = 1024
    predictor_weight_decay: float = 3e-2
    prior_batch_size: int = 4096
    sharper_minutes: float | None = 25.0  # of one thread of a processor
    sharper_epochs: int = 160
    sharper_batch_size: int = 1024
    sharper_learning_rate: float = 1e-3
    sharper_time: tuple[float, float] = (0.65, 0.6)  # mean and deviation of its logit
    sharper_anywhere: float = 0.2  # share of the times that are drawn anywhere
    seed: int = 0

    def of(self, network: str) -> Schedule:
        """Return the schedule of one network."""
        seed = self.seed + 100 * NETWORKS.index(network)
        if network == "sharper_prior":
            return Schedule(
                self.sharper_epochs,
                self.sharper_batch_size,
                self.sharper_learning_rate,
                self.weight_decay,
                seed=seed,
                minutes=self.sharper_minutes,
            )
        minutes = None if self.minutes is None else self.minutes * SHARES[network]
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

    def within(self, minutes: float, networks: Sequence[str]) -> "DINGSchedule":
        """Return the same with limits that have this sum over some networks, in the same proportion.

        Raises:
            ValueError: If one of them has no limit.
        """
        factor = runs.stretch(minutes, [self.of(network).minutes for network in networks])
        return replace(
            self,
            minutes=None if self.minutes is None else factor * self.minutes,
            sharper_minutes=None if self.sharper_minutes is None else factor * self.sharper_minutes,
        )


@dataclass(frozen=True)
class DINGLearner:
    """Settings of a run."""

    Arrays: ClassVar[Any] = LabelledFormulas

    config: DINGConfig = DINGConfig()
    schedule: DINGSchedule = DINGSchedule(minutes=16.0)
    networks: tuple[str, ...] = NETWORKS  # which are trained; the others keep what the folder holds of them
    tf32: bool = True  # a GPU multiplies float32 matrices in TF32
    seed: int = 0

    def for_run(self, device: str, minutes: float | None) -> Self:
        """Return the settings as they will be used; a limit is shared out among the networks that are trained.

        Raises:
            ValueError: If a network is none of `NETWORKS`.
        """
        if not self.networks or not set(self.networks) <= set(NETWORKS):
            raise ValueError(f"networks {','.join(self.networks)!r}: expected some of {','.join(NETWORKS)}")
        schedule = replace(self.schedule, seed=self.seed)
        if minutes is not None:
            schedule = schedule.within(minutes, self.networks)
        return replace(self, schedule=schedule, tf32=self.tf32 and device == "cuda")

    def learn(self, arrays: LabelledFormulas, folder: Path, device: str) -> None:
        """Train."""
        with runs.products_in_tf32(self.tf32):
            train(arrays, self.config, self.schedule, device, folder, self.networks)


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
            NAME_losses.jsonl, and NAME_run.json with its schedule and what it learned on; random_split.json for the
            predictor that is tested on formulas drawn by row.
        networks: Which, of `NETWORKS`.

    Raises:
        ValueError: If the prior is asked for and the folder lacks the VAE or the guide.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = arrays.to(device)
    config = replace(config, n_elements=len(arrays.formulas.elements))
    runs.write_config(config, folder)
    for network in (name for name in NETWORKS if name in networks):
        torch.manual_seed(schedule.seed + 100 * NETWORKS.index(network))
        (folder / f"{network}_losses.jsonl").unlink(missing_ok=True)
        _TRAINERS[network](arrays, config, schedule, device, folder)
        used = device if device != "cpu" else f"one processor, threads: {torch.get_num_threads()}"
        note = {"device": used, "schedule": dataclasses.asdict(schedule.of(network))}
        write_text(folder / f"{network}_run.json", json.dumps(note, indent=2) + "\n")
    return read_run(folder)


def _train_vae(arrays: LabelledFormulas, config: DINGConfig, schedule: DINGSchedule, device: str, folder: Path) -> None:
    model = DING(config).to(device)
    model.standardize(arrays.values[arrays.rows_of("guide")])
    for part in (model.prior, model.predictor, model.judge):
        part.requires_grad_(False)
    rows, checked = arrays.rows_of(*TRAINING_GROUPS), arrays.rows_of("validation")[:20_000]
    told = _told(arrays)

    def transform(batch: Batch, rng: Generator) -> Batch:
        return arrays.tables(batch[0], config.max_count), told[batch[0]]

    def after_epoch(epoch: int) -> Losses:
        if (epoch + 1) % 5:
            return {}
        return {"validation_exact": float((differences(model, arrays, checked) == 0).float().mean())}

    log = folder / "vae_losses.jsonl"
    fit(model, (rows,), schedule.of("vae"), transform=transform, after_epoch=after_epoch, log=log)
    others = ("prior.", "predictor.", "judge.")
    _save({k: v for k, v in model.state_dict().items() if not k.startswith(others)}, folder / "vae.safetensors")


def _train_prior(name: str, needs: tuple[str, ...]) -> Trainer:
    """Return what teaches the prior, from its first weights or ("sharper_prior") from where it stands."""

    def run(arrays: LabelledFormulas, config: DINGConfig, schedule: DINGSchedule, device: str, folder: Path) -> None:
        if missing := [other for other in needs if not (folder / f"{other}.safetensors").exists()]:
            raise ValueError(f"{folder} has no {' and no '.join(missing)}; train that first, into the same folder")
        model = read_run(folder).to(device)
        guide = read_guide(folder).to(device)
        wanted = _guessed(arrays, guide)

        def posteriors(rows: Tensor) -> tuple[Tensor, Tensor]:
            found = encode(model, arrays, rows)
            return found.mean, found.log_var

        rows, unseen = arrays.rows_of(*TRAINING_GROUPS), arrays.rows_of("validation")[:20_000]
        known, held_out = posteriors(rows), posteriors(unseen)
        sharper = name == "sharper_prior"
        prior = DING(config).prior.to(device)
        if sharper:
            prior.load_state_dict(load_file(folder / "prior.safetensors", device))
            known, held_out = ((mean, torch.full_like(mean, -torch.inf)) for mean, _ in (known, held_out))
        else:
            prior.standardize(*known)
        condition = _condition(model, wanted[unseen])

        def transform(batch: Batch, rng: Generator) -> Batch:
            mean, log_var, values = batch
            some = torch.rand(values.shape, generator=rng, device=device) < config.left_out
            told = _condition(model, values.masked_fill(some, torch.nan))
            return mean, log_var, told, *((sharper_times(len(mean), schedule, rng),) if sharper else ())

        @torch.no_grad()
        def after_epoch(epoch: int) -> Losses:
            if (epoch + 1) % 5:
                return {}
            rng = Generator(device).manual_seed(schedule.seed)
            return {"validation": float(prior.loss(*held_out, condition, rng=rng)["loss"])}

        log = folder / f"{name}_losses.jsonl"
        fit(prior, (*known, wanted[rows]), schedule.of(name), transform=transform, after_epoch=after_epoch, log=log)
        _save(prior.state_dict(), folder / f"{name}.safetensors")

    return run


def sharper_times(n: int, schedule: DINGSchedule, rng: Generator) -> Tensor:
    """Times (n,) at which the sharper prior learns."""
    center, spread = schedule.sharper_time
    chosen = (center + spread * torch.randn(n, generator=rng, device=rng.device)).sigmoid()
    anywhere = torch.rand(n, generator=rng, device=rng.device)
    free = torch.rand(n, generator=rng, device=rng.device) < schedule.sharper_anywhere
    return torch.where(free, anywhere, chosen)


def _train_on(name: str, groups: tuple[str, ...]) -> Trainer:
    """Return what trains a predictor on some groups, calibrates it on the validation group and saves it."""

    def run(arrays: LabelledFormulas, config: DINGConfig, schedule: DINGSchedule, device: str, folder: Path) -> None:
        rows, checked = arrays.rows_of(*groups), arrays.rows_of("validation")
        _fit_predictor(name, arrays, rows, checked, config, schedule, device, folder)

    return run


def _train_random_split(
    arrays: LabelledFormulas, config: DINGConfig, schedule: DINGSchedule, device: str, folder: Path
) -> None:
    """Train a predictor as the paper does: on formulas drawn by row, a tenth of them for the test."""
    rng = Generator(device).manual_seed(schedule.of("random_split").seed)
    rows = (~arrays.random_test).nonzero()[:, 0]
    rows = rows[torch.randperm(len(rows), generator=rng, device=device)]
    n_checked = len(rows) // 18  # of nine tenths, so a twentieth of all
    model = _fit_predictor("random_split", arrays, rows[n_checked:], rows[:n_checked], config, schedule, device, folder)
    errors = property_errors(model, arrays, arrays.random_test.nonzero()[:, 0])
    write_text(folder / "random_split.json", json.dumps(errors, indent=2) + "\n")


def _fit_predictor(
    name: str,
    arrays: LabelledFormulas,
    rows: Tensor,
    checked: Tensor,
    config: DINGConfig,
    schedule: DINGSchedule,
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

    log = folder / f"{name}_losses.jsonl"
    fit(model, (rows,), schedule.of(name), transform=transform, after_epoch=after_epoch, log=log)
    model.calibrate(arrays.counts(checked), arrays.values[checked])
    _save(model.state_dict(), folder / f"{name}.safetensors")
    # What is tested is what is kept, rounded.
    return _read_predictor(folder / f"{name}.safetensors", model.config).to(device)


_TRAINERS: dict[str, Trainer] = {
    "vae": _train_vae,
    "guide": _train_on("guide", ("guide",)),
    "prior": _train_prior("prior", ("vae", "guide")),
    "sharper_prior": _train_prior("sharper_prior", ("vae", "guide", "prior")),
    "predictor": _train_on("predictor", TRAINING_GROUPS),
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


def read_run(folder: Path, guidance: float | None = None, sharper: bool = True) -> DING:
    """Return the networks of a run, on the CPU; those that are not there have their first weights.

    Args:
        folder: What `train` left.
        guidance: In place of that of the stored configuration; no network depends on it.
        sharper: Take the sharper prior where there is one, and not the one that it went on from.
    """
    config = read_config(folder)
    model = DING(config if guidance is None else replace(config, guidance=guidance))
    state = model.state_dict()
    parts = {"vae": "", "prior": "prior.", "sharper_prior": "prior.", "predictor": "predictor.", "judge": "judge."}
    if not sharper:
        del parts["sharper_prior"]
    for name, prefix in parts.items():
        if (folder / f"{name}.safetensors").exists():
            state |= {prefix + key: value for key, value in load_file(folder / f"{name}.safetensors").items()}
    model.load_state_dict(state, strict=True)
    return model.eval()


def read_guide(folder: Path) -> FormulaPredictor:
    """Return the predictor that knows the guide's group alone, on the CPU; no checkpoint keeps it."""
    return _read_predictor(folder / "guide.safetensors", _predictor_config(read_config(folder)))


def read_note(folder: Path, network: str) -> dict[str, Any]:
    """Return the schedule of one network of a run, and the device that it learned on."""
    return json.loads((folder / f"{network}_run.json").read_text())


def read_config(folder: Path) -> DINGConfig:
    """Return the configuration that a run left in a folder."""
    return DINGConfig(**runs.read_config(folder))


def _save(weights: dict[str, Tensor], path: Path) -> None:
    """Write weights in float16 and scales, which are few, in float32."""
    stored = {}
    for name, tensor in weights.items():
        exact = name.rsplit(".", 1)[-1] in _SCALES
        stored[name] = (tensor if exact else tensor.half()).detach().cpu().contiguous()
    tensors.write(stored, path)


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
