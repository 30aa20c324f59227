"""Physics of crystals: relaxed by a potential, held against the hull of known phases, and what that says of them."""

from matgen_core.checks.physics.bonds import BOND_KINDS, corrected_atoms
from matgen_core.checks.physics.energies import NEW_CHEMISTRY, Energy, FormationEnergies, Odds, Stability
from matgen_core.checks.physics.hull import Hull, HullPoint, phase_number
from matgen_core.checks.physics.relaxing import Relaxation, relax_structures
from matgen_core.checks.physics.sound import VolumeScan, soundness, symmetry_kept, volume_kept, volume_scan

__all__ = [
    "BOND_KINDS",
    "NEW_CHEMISTRY",
    "Energy",
    "FormationEnergies",
    "Hull",
    "HullPoint",
    "Odds",
    "Relaxation",
    "Stability",
    "VolumeScan",
    "corrected_atoms",
    "phase_number",
    "relax_structures",
    "soundness",
    "symmetry_kept",
    "volume_kept",
    "volume_scan",
]
