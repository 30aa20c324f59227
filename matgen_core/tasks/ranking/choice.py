"""Which elements a chemist allows, which fields follow from that, and how many each exclusion takes away."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import comb

import pandas as pd

from matgen_core.materials.elements import RADIOACTIVE, check_elements
from matgen_core.materials.fields import ANIONS, PhaseField
from matgen_core.tasks.ranking.enumeration import enumerate_fields


@dataclass(frozen=True)
class ElementSet:
    """Elements that are allowed or excluded together."""

    title: str
    elements: tuple[str, ...]
    why: str


ELEMENT_SETS: dict[str, ElementSet] = {
    "study_cations": ElementSet(
        "Study's cations",
        ("B", "Mg", "Al", "Si", "P", "K", "Ca", "Zn", "Sr", "Y", "Zr", "Sn", "Ba", "Ta", "La"),
        "the partners of Li in doi:10.1038/s41467-021-25343-7: no redox-active metals, few scarce ones",
    ),
    "alkali": ElementSet("Alkali", ("Li", "Na", "K", "Rb", "Cs"), "group 1 without the radioactive Fr"),
    "alkaline_earth": ElementSet(
        "Alkaline earth", ("Be", "Mg", "Ca", "Sr", "Ba"), "group 2 without the radioactive Ra"
    ),
    "pnictogens": ElementSet("Pnictogens", ("N", "P", "As", "Sb", "Bi"), "group 15"),
    "chalcogens": ElementSet("Chalcogens", ("O", "S", "Se", "Te"), "group 16 without the radioactive Po"),
    "halogens": ElementSet("Halogens", ("F", "Cl", "Br", "I"), "group 17 without the radioactive At"),
}
EXCLUSIONS: dict[str, ElementSet] = {
    "noble_gases": ElementSet("Noble gases", ("He", "Ne", "Ar", "Kr", "Xe", "Rn", "Og"), "group 18"),
    "radioactive": ElementSet(
        "Radioactive",
        RADIOACTIVE,
        "no stable isotope; Bi, with a half-life of 2e19 years, counts as stable",
    ),
    "toxic": ElementSet(
        "Toxic",
        ("Be", "As", "Cd", "Hg", "Tl", "Pb"),
        "toxic in nearly all of their compounds; a list to edit, not a law",
    ),
    "scarce": ElementSet(
        "Scarce",
        ("Ru", "Rh", "Pd", "Te", "Re", "Os", "Ir", "Pt", "Au", "Bi"),
        "under 0.02 mg/kg of the Earth's crust (CRC Handbook of Chemistry and Physics)",
    ),
    "redox": ElementSet(
        "Redox-active",
        ("Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Nb", "Mo", "Ru", "W", "Re", "Ce", "Eu"),
        "metals that change their charge at the voltages of a lithium battery",
    ),
}


@dataclass(frozen=True)
class Choice:
    """What a chemist asks for; an element that is neither in `must` nor in `may` is in no field."""

    must: tuple[str, ...]
    may: tuple[str, ...]
    anions: tuple[str, ...]  # those of them that stand in anion places; all others stand in cation places
    n_elements: int = 4
    n_anions: int = 2

    @property
    def cations(self) -> tuple[str, ...]:
        """Elements that may stand in a cation place."""
        return tuple(symbol for symbol in self.may if symbol not in self.anions)

    @property
    def allowed_anions(self) -> tuple[str, ...]:
        """Elements that may or must stand in an anion place."""
        return tuple(symbol for symbol in (*self.must, *self.may) if symbol in self.anions)

    def fields(self, known: Collection[PhaseField] = ()) -> list[PhaseField]:
        """List the fields, as `enumerate_fields` does, without those that are known.

        Raises:
            ValueError: If an element is unknown, the places cannot be filled, or there are too many fields.
        """
        return enumerate_fields(self.must, self.cations, self.allowed_anions, self.n_elements, self.n_anions, known)

    def n_fields(self) -> int:
        """Count the fields without listing them; known ones count too."""
        anions = set(self.allowed_anions)
        n_free_anions = len(anions - set(self.must))
        n_free_cations = len(set(self.cations) - set(self.must))
        places_anions = self.n_anions - len(anions & set(self.must))
        places_cations = self.n_elements - self.n_anions - len(set(self.must) - anions)
        if places_anions < 0 or places_cations < 0:
            return 0
        return comb(n_free_cations, places_cations) * comb(n_free_anions, places_anions)


# The 303 candidates of doi:10.1038/s41467-021-25343-7. P and As stand in cation places, as P does in the study.
STUDY = Choice(
    must=("Li",),
    may=(*ELEMENT_SETS["study_cations"].elements, "N", "O", "F", "S", "Cl", "Br", "I"),
    anions=tuple(symbol for symbol in ANIONS if symbol not in ("P", "As")),
)


def funnel(choice: Choice, elements: Sequence[str], known: Collection[PhaseField] = ()) -> pd.DataFrame:
    """Tell how many fields each exclusion takes away, one after the other.

    Args:
        choice: What is asked for.
        elements: Those that could be allowed at all: the ones that a model knows.
        known: Fields that are left out at the end.

    Returns:
        Columns step, elements (excluded in this step, joined by spaces), removed, left. The first row is the
        number of fields with nothing excluded, the last the number that is ranked.

    Raises:
        ValueError: As `Choice.fields` does.
    """
    allowed = {*check_elements(choice.must), *check_elements(choice.may)}
    pool = [symbol for symbol in elements if symbol not in choice.must]
    everything = Choice(choice.must, tuple(pool), choice.anions, choice.n_elements, choice.n_anions)
    left = everything.n_fields()
    rows: list[tuple[str, str, int, int]] = [("every element that the model knows", "", 0, left)]
    steps = [(chosen.title, set(chosen.elements)) for chosen in EXCLUSIONS.values()]
    for title, members in [*steps, ("Other elements set to never", set(pool))]:
        excluded = [symbol for symbol in pool if symbol in members and symbol not in allowed]
        if not excluded:
            continue
        pool = [symbol for symbol in pool if symbol not in excluded]
        now = Choice(choice.must, tuple(pool), choice.anions, choice.n_elements, choice.n_anions).n_fields()
        rows.append((title, " ".join(excluded), left - now, now))
        left = now
    n_known = left - len(choice.fields(known))
    rows.append(("Known: in the training data", "", n_known, left - n_known))
    return pd.DataFrame(rows, columns=["step", "elements", "removed", "left"])
