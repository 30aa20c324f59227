"""Journeys through a latent space: where they go, what is found on the way, and how far each step can be trusted."""

from matgen_core.journeys.recording import Recording
from matgen_core.journeys.routes import (
    PATHS,
    PathKind,
    Route,
    Waypoint,
    arithmetic,
    axis,
    axis_shares,
    path,
    samples,
    waypoint,
)
from matgen_core.journeys.steps import (
    EDGE,
    LIGHTS,
    Light,
    Step,
    property_title,
    table,
    takes_condition,
    tally,
    titles,
    walk,
)

__all__ = [
    "EDGE",
    "LIGHTS",
    "PATHS",
    "Light",
    "PathKind",
    "Recording",
    "Route",
    "Step",
    "Waypoint",
    "arithmetic",
    "axis",
    "axis_shares",
    "path",
    "property_title",
    "samples",
    "table",
    "takes_condition",
    "tally",
    "titles",
    "walk",
    "waypoint",
]
