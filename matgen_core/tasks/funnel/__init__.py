"""From a generator of formulas to the few that are worth a look."""

from matgen_core.tasks.funnel.running import (
    BATCH,
    CHUNK,
    MAX_SAMPLES,
    Chunk,
    Predictor,
    Request,
    Wanted,
    off_by,
    run,
    samples,
    stages,
)
from matgen_core.tasks.funnel.stages import STAGES, Stage

__all__ = [
    "BATCH",
    "CHUNK",
    "MAX_SAMPLES",
    "STAGES",
    "Chunk",
    "Predictor",
    "Request",
    "Stage",
    "Wanted",
    "off_by",
    "run",
    "samples",
    "stages",
]
