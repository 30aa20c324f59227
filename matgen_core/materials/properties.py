"""Properties by their names in the data: what they are called and their units; columns of tables for people."""

from dataclasses import dataclass

EV_PER_ATOM, CUBIC_ANGSTROM_PER_ATOM, GPA = "eV/atom", "Å^3/atom", "GPa"


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


@dataclass(frozen=True)
class Property:
    """A number that is known or predicted of a material.

    Attributes:
        name: As in the data.
        label: What it is called within a sentence.
        unit: As in the data and in files, "Å^3/atom"; "" if it has none.
        short: What stands over a narrow column; the title if nothing.
        of: What it is of, where nothing beside it says so.
    """

    name: str
    label: str
    unit: str = ""
    short: str = ""
    of: str = ""

    @property
    def title(self) -> str:
        """What it is called where it stands alone."""
        return _capitalized(self.label)

    @property
    def shown_unit(self) -> str:
        """The unit as people write it, "Å³/atom"."""
        return self.unit.replace("^3", "³")

    @property
    def column(self) -> Column:
        """Its column, by its title."""
        return Column(self.name, self.title, self.shown_unit)

    @property
    def column_by_itself(self) -> Column:
        """Its column, by its title and what it is of."""
        return Column(self.name, f"{self.title} of {self.of}" if self.of else self.title, self.shown_unit)

    @property
    def narrow_column(self) -> Column:
        """Its column where there is little room."""
        return Column(self.name, self.short or self.title, self.shown_unit)


PROPERTIES = {
    each.name: each
    for each in (
        Property("formation_energy_per_atom", "formation energy", EV_PER_ATOM, short="E form."),
        Property("energy_above_hull", "energy above hull", EV_PER_ATOM),
        Property("band_gap", "band gap", "eV", short="Gap"),
        Property("bulk_modulus", "bulk modulus", GPA),
        Property("shear_modulus", "shear modulus", GPA),
        Property("poisson_ratio", "Poisson ratio"),
        Property("eps_electronic", "electronic dielectric constant"),
        Property("refractive_index", "refractive index"),
        Property("volume_per_atom", "volume per atom", CUBIC_ANGSTROM_PER_ATOM, short="Volume"),
        Property("energy_per_atom", "energy per atom", EV_PER_ATOM, short="Energy"),
        Property("probability", "probability", short="P(2D)", of="2D"),
        Property("edge", "cubic cell edge", "Å"),
        Property("min_distance", "shortest distance", "Å"),
    )
}


def property_named(name: str) -> Property:
    """Return a property by its name in the data; one that is not known here is called as it is named."""
    return PROPERTIES.get(name) or Property(name, name.replace("_", " "))


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
