"""What the columns of a table of judged crystals are called and mean; a column that is new here has its name as title.

A column with another one beside it that ends in `_reason` is a check: its values are true, false, or None where it was
not reached. So whatever is judged further is shown by every page without a change there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_REASON = "_reason"
_OF_THE_HULL = ("stable", "near_stable")  # two lights of one distance: its reason is `stability_reason`
_OF_THE_SET = ("novel", "unique", "valid", "smact_valid", "sun", "msun", "msun_common")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: As tables have it.
        title: As people read it.
        meaning: In one sentence; "" where the title says all.
        digits: Behind the point, of a number; None for what is no number.
    """

    key: str
    title: str
    meaning: str = ""
    digits: int | None = None


COLUMNS = {
    each.key: each
    for each in (
        Column("name", "Crystal"),
        Column("formula", "Formula"),
        Column("n_sites", "Sites", "", 0),
        Column("near_stable", "Within 0.1 eV/atom", "relaxed, it lies at most 0.1 eV/atom above the hull"),
        Column("stable", "On the hull", "relaxed, it lies on the hull of all other known phases or below it"),
        Column("valid", "Valid", "no distance below 1 Å or 0.6 of the radii sum, and 3 to 100 Å^3/atom"),
        Column("unique", "Unique", "what it relaxes to is the first of its kind here"),
        Column("novel", "New", "neither it nor what it relaxes to is a known crystal of the Materials Project data"),
        Column("smact_valid", "Charges (SMACT)", "charges can add up by SMACT's rule, which alloys pass"),
        Column("sun", "S.U.N.", "stable, unique, new and valid"),
        Column("msun", "S.U.N. within 0.1", "within 0.1 eV/atom, unique, new and valid"),
        Column("msun_common", "S.U.N. within 0.1, no f block", "likewise, and no lanthanide or actinide in it"),
        Column("strict_distances", "Distances", "no two atoms nearer than 1 Å or 0.6 of the sum of their radii"),
        Column("metal_distances", "Metal distances", "no two metal atoms nearer than 1.8 Å, as the paper counts"),
        Column("kept", "Kept", "good, and no crystal before it is the same"),
        Column("realness_place", "Most real, place", "how real the critic of the network finds it, from 1", 0),
        Column("share_of_second", "Share of the second metal", "", 2),
        Column("distances", "No overlap", "no two atoms nearer than 0.5 Å"),
        Column("volume_per_atom_in_range", "Volume", "the volume of an atom lies in the range of known crystals"),
        Column("lattice", "Finite cell", "the cell has a volume, and every number in it is finite"),
        Column("ordered", "Whole sites", "every site holds one atom"),
        Column("charge_neutral", "Charge neutral"),
        Column("electronegativity_balanced", "Electronegativity balanced"),
        Column("volume_kept", "Volume kept", "its volume was within 10 % of the relaxed one"),
        Column("symmetry_kept", "Symmetry kept", "relaxing took no symmetry away"),
        Column("energy_above_hull", "Above hull (eV/atom)", "negative: below all known phases", 3),
        Column("share_near_stable", "Truly within 0.1", "share of known crystals with such a prediction", 2),
        Column("share_stable", "Truly on the hull", "share of known crystals with such a prediction", 2),
        Column("formation_energy_per_atom", "Formation energy (eV/atom)", "", 3),
        Column("energy_per_atom", "Energy (eV/atom)", "of the potential, without its references", 3),
        Column("converged", "At rest", "the relaxation ended with all forces below the bound"),
        Column("steps", "Steps", "of the relaxation", 0),
        Column("volume_per_atom", "Volume before (Å^3/atom)", "", 2),
        Column("relaxed_volume_per_atom", "Volume after (Å^3/atom)", "", 2),
        Column("displacement", "Moved (Å)", "root mean square over the sites", 3),
        Column("min_distance", "Shortest distance (Å)", "before it was relaxed", 2),
        Column("min_radii_fraction", "Shortest, of the radii", "smallest distance over the sum of radii, before", 2),
        Column("problem", "Why it was not judged"),
    )
}


def column(key: str) -> Column:
    """Return what a column is called."""
    return COLUMNS.get(key) or Column(key, key[:1].upper() + key[1:].replace("_", " "))


def checks(columns: Iterable[str]) -> list[str]:
    """Return the checks among some columns: those of the hull first, then those of the set, then of each crystal."""
    there = list(columns)
    own = [each for each in there if f"{each}{_REASON}" in there]
    return [each for each in (*_OF_THE_HULL, *_OF_THE_SET) if each in there] + [
        each for each in own if each not in _OF_THE_SET
    ]


def lights(columns: Iterable[str]) -> list[str]:
    """Return the checks that are shown as lights; summaries of several are none."""
    return [each for each in checks(columns) if each not in ("stable", "sun", "msun", "msun_common")]


def reason_column(check: str) -> str:
    """Name the column that says why; a check of the set has none."""
    return f"stability{_REASON}" if check in _OF_THE_HULL else f"{check}{_REASON}"


def in_reading_order(columns: Sequence[str]) -> list[str]:
    """Return columns with what matters first; reasons stand behind their checks."""
    first = ["name", "formula", "energy_above_hull", "share_near_stable", "msun", "sun"]
    ordered = [each for each in first if each in columns]
    for check in checks(columns):
        ordered += [each for each in (check, reason_column(check)) if each in columns and each not in ordered]
    return ordered + [each for each in columns if each not in ordered]
