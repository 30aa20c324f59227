"""What the recipes of the phase-field rankers share: data, published figures, the evidence of the baselines.

Reference: Vasylenko et al., Nat. Commun. 12, 5561 (2021), doi:10.1038/s41467-021-25343-7
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from matgen_core import data
from matgen_core.materials.fields import PhaseField
from matgen_core.materials.systems import chemical_system
from matgen_core.networks.arrays import tensors
from matgen_core.recipes.shared.card import paper
from matgen_core.representations import ElementFeatures
from matgen_core.tasks.ranking.baselines import ElementFrequency, PairCoOccurrence
from matgen_core.tasks.ranking.evidence import Score, cross_validate, hold_out

FIELDS = "icsd2017_quaternary_two_anion"
FEATURES = "magpie_37"
CANDIDATES = "published_scores_candidates_303"
TRAINING_SCORES = "published_scores_training"
OLDER = ("mp_hull_2018", "matbench_mp_e_form", "oqmd_compositions")  # databases that hold what was known first
_PAPER = paper()["vasylenko"]
PAPER_FOLD_ERRORS = tuple(_PAPER["fold_errors_percent"])  # in the order of the folds
PAPER_BELOW_THRESHOLD = _PAPER["below_threshold"]  # share of the training fields
SYSTEM = "Vasylenko 2021, phase-field VAE"


@dataclass(frozen=True, eq=False)
class FieldArrays:
    """What the rankers learn from: properties of elements, and known fields.

    Attributes:
        elements: Symbols.
        properties: Names.
        values: (n_elements, n_properties) float64, in the units of the data.
        fields: As they are written in the published list.
    """

    elements: tuple[str, ...]
    properties: tuple[str, ...]
    values: Tensor
    fields: tuple[str, ...]

    @classmethod
    def of_data(cls) -> "FieldArrays":
        """Gather them from the data sets."""
        table = data.load(FEATURES).table
        values = table.drop(columns="element")
        return cls(
            tuple(table["element"]),
            tuple(values),
            torch.from_numpy(values.to_numpy(np.float64, copy=True)),
            tuple(data.load(FIELDS).table["phase_field"]),
        )

    def read(self) -> list[PhaseField]:
        """Return the fields."""
        return _read(self.fields)

    def standardized(self) -> ElementFeatures:
        """Standardize the properties over the known fields."""
        table = pd.DataFrame(self.values.numpy(), columns=list(self.properties))
        return ElementFeatures.fit(table.assign(element=self.elements), self.read())


@dataclass(frozen=True, eq=False)
class _Standardized:
    """The fields of `ElementFeatures` as a run keeps them."""

    elements: tuple[str, ...]
    features: tuple[str, ...]
    n_slots: int
    order: Tensor
    table: Tensor


def save_features(features: ElementFeatures, folder: Path) -> None:
    """Keep standardized features in the folder of a run."""
    order, table = torch.from_numpy(features.order), torch.from_numpy(features.table)
    kept = _Standardized(features.elements, features.features, features.n_slots, order, table)
    tensors.save(kept, folder / "features.safetensors")


def read_features(folder: Path) -> ElementFeatures:
    """Return what `save_features` kept."""
    kept = tensors.load(_Standardized, folder / "features.safetensors")
    return ElementFeatures(kept.elements, kept.features, kept.n_slots, kept.order.numpy(), kept.table.numpy())


def known_fields() -> list[PhaseField]:
    """Return the 2,021 training fields in the order of the published list."""
    return _read(data.load(FIELDS).table["phase_field"])


def _read(texts: Iterable[str]) -> list[PhaseField]:
    return [PhaseField.parse(text, mixed_valence=True) for text in texts]


def baseline_evidence(known: Sequence[PhaseField]) -> dict[str, Any]:
    """Cross-validate the two baselines in the same way as a ranker."""
    return {
        "element_frequency": cross_validate(lambda fields, fold: ElementFrequency(fields), known),
        "pair_co_occurrence": cross_validate(lambda fields, fold: PairCoOccurrence(fields), known),
    }


def by_time() -> tuple[list[PhaseField], list[PhaseField]]:
    """Split the known fields by whether an older database holds a compound of them.

    A stand-in for the year of discovery, which the list does not give: compounds that the databases lack are mostly
    those that were reported last. Fields that repeat an element are in neither part, as a formula shows no valences.

    Returns:
        Those that `OLDER` hold, and the rest, which is what a ranker is to find.
    """
    held = {chemical_system(formula) for name in OLDER for formula in data.load(name).table["formula"]}
    distinct = [field for field in known_fields() if len(set(field)) == len(field)]
    return [field for field in distinct if field.write() in held], [f for f in distinct if f.write() not in held]


def pseudo_time(train_on: Callable[[Sequence[PhaseField]], Score]) -> dict[str, Any]:
    """Judge a ranker and the two baselines on the split of `by_time`.

    Args:
        train_on: Trains a ranker on fields and returns its score function.
    """
    older, later = by_time()
    rankers: dict[str, Callable[[Sequence[PhaseField]], Score]] = {
        "ranker": train_on,
        "element_frequency": ElementFrequency,
        "pair_co_occurrence": PairCoOccurrence,
    }
    return {name: hold_out(train(older), older, later) for name, train in rankers.items()}
