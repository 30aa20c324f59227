"""Properties by their names in the data: unit and title."""

from dataclasses import dataclass

UNITS = {
    "formation_energy_per_atom": "eV/atom",
    "energy_above_hull": "eV/atom",
    "band_gap": "eV",
    "bulk_modulus": "GPa",
    "shear_modulus": "GPa",
    "poisson_ratio": "",
    "eps_electronic": "",
    "refractive_index": "",
    "volume_per_atom": "Å^3/atom",
    "energy_per_atom": "eV/atom",
    "probability": "",
}
LABELS = {
    "formation_energy_per_atom": "formation energy",
    "energy_above_hull": "energy above hull",
    "band_gap": "band gap",
    "bulk_modulus": "bulk modulus",
    "shear_modulus": "shear modulus",
    "poisson_ratio": "Poisson ratio",
    "eps_electronic": "electronic dielectric constant",
    "refractive_index": "refractive index",
    "volume_per_atom": "volume per atom",
    "energy_per_atom": "energy per atom",
    "probability": "probability",
}


@dataclass(frozen=True)
class Column:
    """A column that tells something of each material."""

    name: str
    label: str
    unit: str = ""
    is_category: bool = False

    @property
    def title(self) -> str:
        """Label with unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label
