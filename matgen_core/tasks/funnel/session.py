"""A run of the funnel that goes on beside a page: watched at any time, stopped at any time, what was kept stays.

Memory does not grow with the number of samples: rows that pass all stages go to parquet files in a temporary folder
that goes with the run, and the first rows stay at hand. Two runs work at a time, since more of them would only slow
each other down; the others wait in line.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock, Timer

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from matgen_core.checkpoint import Checkpoint
from matgen_core.jobs.files.folders import TemporaryFolder
from matgen_core.jobs.files.tables import ParquetFolder
from matgen_core.jobs.job import Handle, Job, Status
from matgen_core.jobs.turns import Turns
from matgen_core.latent.space import Z
from matgen_core.materials.elements import RADIOACTIVE, element_table
from matgen_core.materials.formulas import Formulas
from matgen_core.networks.arrays.splits import TRAIN
from matgen_core.networks.models.capabilities import Critic
from matgen_core.representations import FormulaEncoder
from matgen_core.tasks.funnel.answers import Answer, answers_to
from matgen_core.tasks.funnel.running import BATCH, Chunk, Predictor, Request, off_by, run, stages
from matgen_core.tasks.funnel.stages import STAGES

SHOWN = 5_000  # rows at hand of what was kept
LEFT_SHOWN = 1_000  # and of what was not
ON_A_MAP = 2_000  # generated formulas held beside as many real ones
AT_ONCE = 2  # runs, of all visitors of one server
TURNS = Turns(AT_ONCE)
CHUNK = 4 * BATCH  # a third of the funnel's own: the first rows come early, and a run that is stopped ends soon
_SAME_IN_ALL = ["wanted", "first", "kept"]  # of rows that were kept


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run at one moment.

    Attributes:
        status: Of its job.
        counts: As in `funnel.Chunk`.
        undecided: As in `funnel.Chunk`.
        kept: The first rows that passed all stages, SHOWN at most, as in `funnel.Chunk`.
        left: The first rows that did not, LEFT_SHOWN at most, with a column stopped_at.
        answers: What is predicted of each property that was asked for, of those that are predicted.
    """

    status: Status
    counts: dict[str, int]
    undecided: dict[str, int]
    kept: pd.DataFrame
    left: pd.DataFrame
    answers: tuple[Answer, ...]

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.counts["generated"] / self.status.seconds if self.status.seconds else 0.0


class Generation:
    """A run of the funnel as a job; a stopped one ends after the chunk under way, and what is there stays.

    Attributes:
        checkpoint: The generator.
        request: What is asked of it.
        folder: The parquet files of what was kept; gone when nobody holds the run any more.
        job: How it goes on; to stop it, or to wait for it.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        request: Request,
        predictors: Sequence[Predictor] = (),
        turns: Turns = TURNS,
    ) -> None:
        """Begin when it is its turn."""
        self.checkpoint, self.request = checkpoint, request
        self._temporary = TemporaryFolder("matgen-formulas-")
        self.folder = self._temporary.path
        self._table = ParquetFolder(self.folder)
        self._predictors = tuple(predictors)
        self._lock = Lock()
        self._leaving: Timer | None = None
        self._counts = dict.fromkeys(stages(request, predictors), 0)
        self._undecided: dict[str, int] = {}
        self._kept: list[pd.DataFrame] = []
        self._left: list[pd.DataFrame] = []
        self._answers = answers_to(request)
        self._with_element = np.zeros((2, 256), np.int64)  # samples with each element: all, and kept
        self._distinct: list[tuple[Formulas, NDArray[np.bool_]]] = []  # the first formulas, and whether each was kept
        self._best: tuple[tuple[str, bool, int], pd.DataFrame] | None = None
        self.job: Job[None] = Job(turns, request.n_samples)
        self.job.start(self._work)

    def look(self) -> Snapshot:
        """Return how the run stands.

        Raises:
            BaseException: Whatever broke it, if that was neither its input nor the disk.
        """
        status = self.job.status()  # first: of a run that is done, all rows are there
        with self._lock:
            return Snapshot(
                status=status,
                counts=dict(self._counts),
                undecided=dict(self._undecided),
                kept=pd.concat(self._kept, ignore_index=True) if self._kept else pd.DataFrame(),
                left=pd.concat(self._left, ignore_index=True) if self._left else pd.DataFrame(),
                answers=tuple(answer for answer in self._answers if answer.n),
            )

    @property
    def n_kept(self) -> int:
        """Rows written so far."""
        return self._table.n_rows

    def best(self, column: str, ascending: bool) -> pd.DataFrame:
        """Return the rows with the lowest or the highest values of a column, SHOWN at most, of all that were kept."""
        parts = sorted(self.folder.glob("part-*.parquet"))
        asked = (column, ascending, len(parts))
        if self._best is None or self._best[0] != asked:
            top = pd.DataFrame()
            for part in parts:  # one after the other, so that the memory stays as it is
                joined = pd.concat([top, pd.read_parquet(part)], ignore_index=True)
                top = joined.sort_values(column, ascending=ascending, kind="stable").head(SHOWN)
            self._best = asked, top.reset_index(drop=True)
        return self._best[1]

    def leave(self, seconds: float) -> None:
        """Stop, and let go of what was kept unless `stay` is called within some seconds."""
        self.job.stop()
        self.stay()
        self._leaving = Timer(seconds, self._temporary.remove)
        self._leaving.daemon = True
        self._leaving.start()

    def stay(self) -> None:
        """Take `leave` back, as far as it was not too late; the run stays stopped."""
        if self._leaving is not None:
            self._leaving.cancel()

    def n_bytes(self) -> int:
        """Return the size of what was kept."""
        return sum(part.stat().st_size for part in self.folder.glob("part-*.parquet"))

    def archive(self, about: Mapping[str, str]) -> bytes:
        """Return the folder of parquet files as a zip, with origin.json.

        Args:
            about: What made them, as `origin.origin` says it.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # the parts are compressed
            for part in sorted(self.folder.glob("part-*.parquet")):
                archive.write(part, f"formulas/{part.name}")
            archive.writestr("formulas/origin.json", json.dumps(dict(about), indent=2, ensure_ascii=False))
        return buffer.getvalue()

    def element_shares(self) -> pd.DataFrame:
        """Return how often each element occurs.

        Returns:
            One row an element that occurs: element, and in percent of the formulas with it generated (of all samples
            that are formulas), kept, and training (of the checkpoint's index; missing if it has none).
        """
        with self._lock:
            made, kept = self._with_element
            n_made, n_kept = self._counts["formula"], self._table.n_rows
        known = real_formulas(self.checkpoint)
        counts = np.bincount(known.numbers.ravel(), minlength=256)
        table = pd.DataFrame(
            {
                "element": list(element_table()),
                "generated": _percent(made, n_made),
                "kept": _percent(kept, n_kept),
                "training": _percent(counts, len(known)),
            }
        )
        return table[table[["generated", "kept", "training"]].gt(0).any(axis=1)].reset_index(drop=True)

    def training_share(self) -> float | None:
        """Return the share of the real formulas that would pass "as asked for"; None if the checkpoint names none."""
        real = real_formulas(self.checkpoint)
        return float(self.request.wanted.passes(real).mean()) if len(real) else None

    def training_share_near(self, name: str) -> float | None:
        """Return the share of the real formulas whose own value of a property lies as near as is asked for.

        Args:
            name: A property of the condition.

        Returns:
            From 0 to 1; None where no limit is set or the checkpoint's index has no values of it.
        """
        index = self.checkpoint.index
        if index is None or name not in index or name not in self.request.tolerance:
            return None
        values = index.loc[index["split"] == TRAIN, name] if "split" in index else index[name]
        near = off_by(values.dropna(), self.request.condition[name], self.request.tolerance[name]) <= 1
        return float(near.mean()) if len(near) else None

    def comparison(self) -> tuple[Z, pd.DataFrame]:
        """Lay out generated formulas beside real ones, for a map of both.

        Returns:
            Features, (n_points, n_features), see `features`; and a row a point: formula, kind (real, generated, kept).
        """
        with self._lock:
            parts = list(self._distinct)
        made = Formulas.concatenate([formulas for formulas, _ in parts])
        kept = np.concatenate([flags for _, flags in parts]) if parts else np.zeros(0, bool)
        real = real_formulas(self.checkpoint)
        chosen = np.random.default_rng(self.request.seed).permutation(len(real))[:ON_A_MAP]
        real = real[np.sort(chosen)]
        both = Formulas.concatenate([real, made])
        kinds = ["real"] * len(real) + ["kept" if flag else "generated" for flag in kept]
        return features(self.checkpoint, both), pd.DataFrame({"formula": both.texts(), "kind": kinds})

    def _work(self, handle: Handle) -> None:
        for chunk in run(self.checkpoint, self.request, self._predictors, CHUNK):
            self._take(chunk)
            handle.report(done=chunk.counts["generated"], total=self.request.n_samples)
            if handle.is_stopped:
                return

    def _take(self, chunk: Chunk) -> None:
        rows, flags = chunk.rows, chunk.rows["kept"].to_numpy()
        kept = rows[flags].drop(columns=_SAME_IN_ALL)
        if len(kept):
            self._table.write(kept)
        n_kept, n_left = sum(map(len, self._kept)), sum(map(len, self._left))
        left = rows[~flags].head(LEFT_SHOWN - n_left)
        counted = [np.bincount(part.numbers.ravel(), minlength=256) for part in (chunk.formulas, chunk.formulas[flags])]
        answers = [answer.after(rows) for answer in self._answers]
        first = np.flatnonzero(rows["first"])[: ON_A_MAP - sum(len(part) for part, _ in self._distinct)]
        with self._lock:
            self._counts, self._undecided = dict(chunk.counts), dict(chunk.undecided)
            if n_kept < SHOWN and len(kept):
                self._kept.append(kept.head(SHOWN - n_kept))
            if len(left):
                self._left.append(left.assign(stopped_at=stopped_at(left, self.request.keep_undecided)))
            if len(first):
                self._distinct.append((chunk.formulas[first], flags[first]))
            self._with_element += np.stack(counted)
            self._answers = answers


def stopped_at(rows: pd.DataFrame, keep_undecided: bool = False) -> list[str]:
    """Say for rows that were not kept, as in `funnel.Chunk`, at which stage each stopped."""
    found = np.full(len(rows), "", object)
    for stage in STAGES.values():
        if stage.column not in rows:
            continue
        answers = stage.passes(rows[stage.column])
        if not stage.lets_open_pass(keep_undecided):
            found[(found == "") & answers.isna().to_numpy()] = f"{stage.key}: undecided"
        found[(found == "") & ~answers.fillna(True).to_numpy(bool)] = stage.stopped
    return list(found)


def radioactive_last(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Put the rows whose formulas hold an element without a stable isotope behind all others, each in its order.

    Returns:
        The rows, numbered anew, and how many were put last.
    """
    formulas = Formulas.of_texts(table["formula"])[0]
    numbers = [element_table()[symbol].number for symbol in RADIOACTIVE if symbol in element_table()]
    last = np.isin(formulas.numbers, numbers).any(axis=1)
    return pd.concat([table[~last], table[last]], ignore_index=True), int(last.sum())


def real_formulas(checkpoint: Checkpoint) -> Formulas:
    """Return the training formulas that a checkpoint's index names; none if it names none."""
    index = checkpoint.index
    if index is None or "formula" not in index:
        return Formulas.concatenate([])
    texts = index.loc[index["split"] == TRAIN, "formula"] if "split" in index else index["formula"]
    return Formulas.of_texts(texts)[0]


def novel(checkpoint: Checkpoint, formula: str) -> bool | None:
    """Tell whether a formula is none that a generator was trained on; None if the generator does not know."""
    return None if checkpoint.known is None else not bool(checkpoint.known.contains(Formulas.of_text(formula))[0])


def most_alike(checkpoint: Checkpoint, formula: str) -> tuple[str, float] | None:
    """Find the real formula of a generator's index whose elements have the most similar shares.

    Returns:
        It, and the share of the atoms that would have to be others, from 0 to 1; None if the index names no formulas.

    Raises:
        ValueError: If the text is no formula.
    """
    real = real_formulas(checkpoint)
    if not len(real):
        return None
    apart = np.abs(_fractions(real) - _fractions(Formulas.of_text(formula))).sum(1) / 2
    nearest = int(apart.argmin())
    return str(real[nearest : nearest + 1].texts()[0]), float(apart[nearest])


def features_in_words(checkpoint: Checkpoint) -> str:
    """Say by which numbers `features` describes formulas."""
    return "the critic's last layer" if isinstance(checkpoint.model, Critic) else "shares of the elements"


@torch.inference_mode()
def features(checkpoint: Checkpoint, formulas: Formulas) -> Z:
    """Describe formulas by numbers: the critic's last layer of a GAN, else the share of each element.

    Args:
        checkpoint: A generator of formulas.
        formulas: Those that it can write.

    Returns:
        (N, n_features).
    """
    model, representation = checkpoint.model, checkpoint.representation
    if isinstance(model, Critic) and isinstance(representation, FormulaEncoder):
        arrays = torch.from_numpy(representation.encode_formulas(formulas))
        return np.asarray(model.features(arrays).numpy(), np.float32)
    return _fractions(formulas)


def _fractions(formulas: Formulas) -> Z:
    counts = formulas.table(list(element_table())).astype(np.float32)
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def _percent(counts: NDArray[np.integer], n: int) -> NDArray[np.floating]:
    """Percent of n formulas, in the order of `element_table`; missing if there are none."""
    of_elements = counts[[facts.number for facts in element_table().values()]]
    return 100 * of_elements / n if n else np.full(len(of_elements), np.nan)
