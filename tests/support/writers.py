"""Generators of formulas whose samples are known."""

import pandas as pd
import torch

from matgen_core.checkpoint import Checkpoint
from matgen_core.materials.formulas import Formulas, KnownFormulas
from matgen_core.networks.models.formula_lm import FormulaLM, FormulaLMConfig
from matgen_core.representations import ElementCounts
from matgen_core.tasks import funnel
from matgen_core.tasks.funnel.running import Request

ELEMENTS = ("Na", "Li", "Al", "Fe", "S", "O")


class Forgetful(FormulaLM):
    """Writes nothing where its first coordinate is large."""

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return super().decode(z) * (z[:, 0] < 1.5)[:, None, None]


def everything(writer: Checkpoint, request: Request, **options) -> tuple[pd.DataFrame, funnel.Chunk]:
    chunks = list(funnel.run(writer, request, **options))
    return pd.concat([chunk.rows for chunk in chunks], ignore_index=True), chunks[-1]


def untrained(model: type[FormulaLM] = Forgetful) -> Checkpoint:
    """A generator that has learned nothing: it writes many formulas, and sometimes none."""
    torch.manual_seed(4)
    config = FormulaLMConfig(n_elements=6, n_counts=4, n_slots=3, hidden=16, critic=8)
    known = KnownFormulas.of(Formulas.of_texts(["Li2O", "Fe2O3", "NaAlO2", "Fe4O6", "Na2S"])[0])
    layout = ElementCounts(ELEMENTS, max_count=4)
    provenance = {"title": "Tiny", "system": "language model", "level": "composition"}
    return Checkpoint(
        "tiny", "formula_lm", model(config).eval(), layout, {"headline": {}}, "card", provenance, known=known
    )
