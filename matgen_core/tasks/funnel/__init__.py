"""From a generator of formulas to the few that are worth a look."""

from matgen_core.tasks.funnel.running import (
    BATCH,
    CHUNK,
    MAX_SAMPLES,
    STAGES,
    Chunk,
    Predictor,
    Request,
    Wanted,
    off_by,
    run,
    samples,
    stages,
)

__all__ = [
    "BATCH",
    "CHUNK",
    "MAX_SAMPLES",
    "STAGES",
    "Chunk",
    "Predictor",
    "Request",
    "Wanted",
    "off_by",
    "run",
    "samples",
    "stages",
]
