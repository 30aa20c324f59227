"""What the cards of crystal models share: figures in tables beside the peers', and known failures."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from torch import nn

from matgen_core.recipes.shared.card import markdown_table

# Perov-5, all by Xie et al. (2022), doi:10.48550/arXiv.2110.06197, with the same matcher: match rate, RMSD.
PEERS = (
    ("Cond-DFC-VAE, the published iCSG3D", 0.5165, 0.0217),
    ("FTCP", 0.9934, 0.0259),
    ("CDVAE", 0.9752, 0.0156),
)
# The published iCSG3D on Perov-5, by the same paper.
PUBLISHED = {"structure_valid": 0.7360, "composition_valid": 0.8295, "cov_recall": 0.7392, "cov_precision": 0.1013}


def figures_text(metrics: Mapping[str, Any]) -> str:
    """Reconstruction, walks, generation and obedience in tables, with what they mean."""
    figures = metrics["reconstruction_test"]
    rows = [_row(f"{name} (n = {part['n_samples']:,})", part) for name, part in figures.items()]
    rows += [{"": f"{name}, Perov-5", "match": f"{match:.2%}", "RMSD": f"{rmsd:.4f}"} for name, match, rmsd in PEERS]
    trip = metrics["round_trip_without_network"]
    walks = pd.DataFrame(metrics["walks"]).T.round(3).reset_index(names="between")
    made = pd.DataFrame(metrics["generation"]).T.round(3).reset_index(names="drawn")
    return "\n\n".join(
        [
            f"Held-out crystals. A crystal that does not decode counts as no match:\n\n{_table(pd.DataFrame(rows))}",
            f"Without a network between, {trip['match_rate']:.2%} of {trip['n']:,} crystals come back.",
            f"Straight lines between held-out crystals, shares of all points:\n\n{markdown_table(walks)}",
            f"Generated crystals, shares of all samples:\n\n{markdown_table(made)}\n\nThe published iCSG3D on Perov-5:"
            f" structures valid {PUBLISHED['structure_valid']:.2%}, compositions valid"
            f" {PUBLISHED['composition_valid']:.2%}.",
            *_coverage(metrics["coverage"]),
            *_obedience(metrics["condition"]),
        ]
    )


def _row(label: str, part: Mapping[str, Any]) -> dict[str, str]:
    return {
        "": label,
        "match": f"{part['match_rate']:.2%}",
        "match and valid": f"{part['valid_match_rate']:.2%}",
        "RMSD": f"{part['rmsd']:.4f}",
        "site error (Å)": f"{part['site_error']:.4f}",
        "edge error (Å)": f"{part['length_error']:.3f}",
        "species right": f"{part['species_accuracy']:.2%}",
    }


def _coverage(figures: Mapping[str, Any] | None) -> list[str]:
    if figures is None:
        return ["Coverage was not measured."]
    limits = figures["cutoffs"]
    lines = [
        f"Coverage, a crystal counting as near within {limits['structure']:g} of the structure fingerprint and"
        f" {limits['composition']:g} of the composition fingerprint (the published iCSG3D on Perov-5: recall"
        f" {PUBLISHED['cov_recall']:.2%}, precision {PUBLISHED['cov_precision']:.2%}):"
    ]
    for name in (name for name in ("standard_normal", "learned_prior") if name in figures):
        found = figures[name]
        lines.append(
            f"- {name}: {found}."
            if isinstance(found, str)
            else f"- {name}: {found['n_reference']:,} test crystals by {found['n_generated']:,} samples: recall"
            f" {found['cov_recall']:.2%}, precision {found['cov_precision']:.2%}."
        )
    return ["\n".join([lines[0], "", *lines[1:]])]


def _obedience(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return ["There is no condition: its formation energies are of another kind than the judge's."]
    if "problem" in found:
        return [f"Obedience to the condition: {found['problem']}."]
    with_it, without = found["conditioned"], found["unconditioned"]
    guided = f" (guidance {found['guidance']:g})" if "guidance" in found else ""
    return [
        f"Each class of the formation energy was asked for in {with_it['n']:,} samples in all, and `{found['judge']}`"
        f" said what came: {with_it['in_class']:.1%} in the class, {with_it['in_class_or_beside']:.1%} in it or beside"
        f" it, rank correlation {_number(with_it['rank_correlation'])}; {found['decoded_and_valid']:.1%} were valid"
        f"{guided}. The same noise without a condition, which is chance:"
        f" {without['in_class']:.1%}, {without['in_class_or_beside']:.1%},"
        f" {_number(without['rank_correlation'])}."
    ]


def failures_text(metrics: Mapping[str, Any]) -> str:
    """Say why crystals do not come back, and which sizes and crystals are worst."""
    found = metrics["failures"]
    n_all = metrics["reconstruction_test"]["all"]["n_samples"]
    if not found["n"]:
        return f"All {n_all:,} held-out crystals came back."
    reasons = ", ".join(f"{name} ({count})" for name, count in found["reasons"].items())
    by_size = sorted(metrics["reconstruction_by_n_sites"].items(), key=lambda item: item[1]["match_rate"])
    sites, rates = by_size[0]
    worst = pd.DataFrame(found["worst"][:10])
    return (
        f"{found['n']} of {n_all:,} held-out crystals do not come back: {reasons}. By number of sites, {sites} is"
        f" worst: {rates['match_rate']:.1%} of {rates['n']} return. Those with the fewest sites found again:\n\n"
        f"{markdown_table(worst)}"
    )


def _number(value: float | None) -> str:
    return "not defined" if value is None or value != value else f"{value:.2f}"


def n_weights(model: nn.Module) -> int:
    """Return the number of weights of a network."""
    return sum(weight.numel() for weight in model.parameters())


def _table(rows: pd.DataFrame) -> str:
    return markdown_table(rows.fillna(""))
