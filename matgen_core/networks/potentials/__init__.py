"""Potentials of crystals in plain torch: energies, forces and stresses of many cells at once, and their relaxation.

Nothing here needs pymatgen or ASE, so that a bare machine with a GPU can do it. The networks are those of installed
packages, which bring their weights; they are imported when a potential is loaded.
"""

from matgen_core.networks.potentials.evaluation import Evaluation, Potential, edges_of, evaluate
from matgen_core.networks.potentials.guards import Guards, problems
from matgen_core.networks.potentials.loading import POTENTIALS, check_potential, load_potential
from matgen_core.networks.potentials.relaxation import (
    CONVERGED,
    OUTCOMES,
    Frame,
    Relaxed,
    RelaxSettings,
    relax,
    relaxing,
)

__all__ = [
    "CONVERGED",
    "OUTCOMES",
    "POTENTIALS",
    "Evaluation",
    "Frame",
    "Guards",
    "Potential",
    "RelaxSettings",
    "Relaxed",
    "check_potential",
    "edges_of",
    "evaluate",
    "load_potential",
    "problems",
    "relax",
    "relaxing",
]
