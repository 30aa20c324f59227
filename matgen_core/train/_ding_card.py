"""The card of DING, written from what a run measured."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from matgen_core.models.ding import CONDITIONS, DING
from matgen_core.train._card import markdown_table, write_card
from matgen_core.train._ding_metrics import CHECKED, TOLERANCE, request_table, written

# Pathak et al. (2020): mean absolute error and R^2 on a tenth of the formulas, drawn by row.
PAPER = {
    "formation_energy_per_atom": (0.0515, 0.91),
    "volume_per_atom": (0.399, 0.99),
    "energy_per_atom": (0.0722, 0.98),
}
PAPER_RECONSTRUCTION = {"exact": 0.9504, "off_by_1": 0.0179, "off_by_2": 0.0119}
UNITS = {"formation_energy_per_atom": "eV/atom", "volume_per_atom": "Å^3/atom", "energy_per_atom": "eV/atom"}


def ding_card(metrics: Mapping[str, Any], model: DING, data_text: str) -> str:
    """Write the card from what stands in metrics.json."""
    c, n, labelled = model.config, metrics["n"], metrics["n_labelled"]
    references, training = metrics["energy_references"], metrics["training"]
    return write_card(
        "ding: formulas under a wanted formation energy, volume and energy",
        {
            "What it is": "A conditional variational autoencoder of formulas with a learned prior that draws latent"
            " points under wanted properties, and a predictor of the properties, after Pathak et al."
            f" (doi:10.1039/D0CP03508D). A formula is a table of {c.n_elements} elements against the counts 0 to"
            f" {c.max_count}; a latent point has {c.latent_dim} coordinates. Each of the three properties may be given"
            " or left out. A second predictor of another build, the judge, is in the weights too: it saw other data"
            " and serves only to say what was generated.",
            "Data": f"{data_text}\n\n{labelled['formation_energy_per_atom']:,} formulas that fit have a formation"
            f" energy, {labelled['volume_per_atom']:,} a volume, {labelled['energy_per_atom']:,} an energy: about a"
            " third of the paper's set (about 272,000 with all three). Formulas with a count above"
            f" {c.max_count} are left out. No chemical system is in two of the groups: {n['guide']:,} formulas whose"
            f" properties the generator was told, {n['judge']:,} whose properties only the judge was told (the"
            " generator saw these formulas with properties guessed by a predictor that knows the first group alone),"
            f" {n['validation']:,} for choices and calibration, {n['test']:,} for the test. The predictor that users"
            " see learned from the first two groups.",
            "Recipe": "`matgen train ding --device cuda`: "
            + "; ".join(
                f"{name} {log['epoch']} epochs in {log['seconds'] / 60:.1f} min" for name, log in training.items()
            )
            + f". KL weight {c.beta:g}, no property told in {c.unknown:.0%} of the rows, guidance {c.guidance:g},"
            f" {sum(weight.numel() for weight in model.parameters()):,} weights. Energy is formation energy plus the"
            f" energies of the elements, fitted by least absolute errors: exact within 1 meV in"
            f" {references['within_1_meV']:.1%} of {references['n']:,} rows, {references['largest']:.2f} eV/atom off"
            " at worst (rows with another convention, mostly oxides of transition metals); the network learns the"
            " rest.",
            "Figures beside the paper's": figures_text(metrics),
            "What was tried": "Strengths of the guidance, mean over the requests of the share of hits as the predictor"
            f" (not the judge) sees them:\n\n{markdown_table(pd.DataFrame(metrics['tried']).round(3))}",
            "Intended use": "Proposing formulas near wanted values for a closer look; quick estimates of formation"
            " energy, volume and energy of a formula; looking at where known formulas lie.",
            "Out of scope": "Structures, polymorphs and stability: a formula has one value here, and a low formation"
            " energy does not say that a compound lies on the hull. Fractional counts, counts above"
            f" {c.max_count}, elements outside the table. Energies are the OQMD's, not the Materials Project's.",
            "Known failures": failures_text(metrics),
        },
    )


def figures_text(metrics: Mapping[str, Any]) -> str:
    """Reconstruction, errors and hits, beside the paper's."""
    back = metrics["reconstruction"]
    rows = [
        {
            "figure": f"formulas that come back {words}",
            "paper": f"{PAPER_RECONSTRUCTION[key]:.2%}",
            "ours, untold": f"{back['untold'][key]:.2%}",
            "ours, told": f"{back['told'][key]:.2%}",
        }
        for key, words in (("exact", "exactly"), ("off_by_1", "off by 1 unit"), ("off_by_2", "off by 2"))
    ]
    rows.append(
        {
            "figure": "within 2",
            "paper": "98.0%",
            "ours, untold": f"{back['untold']['within_2']:.2%}",
            "ours, told": f"{back['told']['within_2']:.2%}",
        }
    )
    errors = [
        {
            "mean absolute error": f"{name} ({UNITS[name]})",
            "paper, by row": f"{PAPER[name][0]:g} (R² {PAPER[name][1]:g})",
            "ours, by row": _error(metrics["random_split"][name]),
            "ours, unseen chemical systems": _error(metrics["predictor"][name]),
            "judge, unseen chemical systems": _error(metrics["judge"][name]),
        }
        for name in CONDITIONS
    ]
    limit, alike = metrics["judge_within_tolerance"], metrics["agreement"]
    spread = metrics["predictor"]["formation_energy_per_atom"]["within_two_std"]
    return "\n\n".join(
        [
            f"Formulas of unseen chemical systems (n = {back['untold']['n']:,} untold; told: the {back['told']['n']:,}"
            " whose properties are known, of which"
            f" {back['untold, all properties known']['exact']:.2%} come back untold). The paper splits by row and tells"
            f" the true properties.\n\n{markdown_table(pd.DataFrame(rows))}",
            f"Predictors. By row: a network of the same build, trained on nine tenths of the rows, as in the paper,"
            " whose set is three times as large; the checkpoint holds the one that is split by chemical system."
            f"\n\n{markdown_table(pd.DataFrame(errors))}\n\nThe band gap, a fourth output, errs by"
            f" {metrics['predictor']['band_gap']['mae']:.3f} eV (n = {metrics['predictor']['band_gap']['n']:,}, most of"
            f" them 0). {spread:.1%} of the formation energies lie within two predicted standard deviations.",
            f"Requests: share of all {_conditioned(metrics)[0]['n']:,} samples, empty ones included, that the judge"
            f" puts within {TOLERANCE['formation_energy_per_atom']:g} eV/atom of a wanted formation energy,"
            f" {TOLERANCE['volume_per_atom']:g} Å^3/atom of a volume and {TOLERANCE['energy_per_atom']:g} eV/atom of an"
            " energy, all wanted values at once. Ef, V and E are the wanted values; the two with three are the paper's,"
            " which gives no share of hits. The judge errs too: of test formulas it puts"
            f" {limit['formation_energy_per_atom']:.0%} this near to their own formation energy,"
            f" {limit['volume_per_atom']:.0%} to their volume, {limit['all']:.0%} to all three, which is what perfect"
            " samples would score. Its errors and the predictor's correlate by"
            f" {alike['formation_energy_per_atom_correlation_of_errors']:.2f} in the formation energy. Neutral: of the"
            f" first {CHECKED:,} samples, by oxidation states with mixed valence.\n\n"
            f"{markdown_table(request_table(metrics['requests']))}",
        ]
    )


def failures_text(metrics: Mapping[str, Any]) -> str:
    """Name the worst figures."""
    worst = min(_conditioned(metrics), key=lambda row: row["hits"]["all"])
    hardest = min(
        (key for key, found in metrics["reconstruction"].items() if key.endswith("elements") and found["n"] >= 100),
        key=lambda key: metrics["reconstruction"][key]["exact"],
    )
    found = metrics["reconstruction"][hardest]
    return (
        f"The request {written(worst['wanted'])} is met by {worst['hits']['all']:.1%} of the samples only. Formulas of"
        f" {hardest.removeprefix('untold, ')} come back exactly in {found['exact']:.1%} (n = {found['n']:,})."
        " Formulas are known reduced: one such as Ti2O4 may come back as something else. Requests far from the training"
        " range are taken and flagged; what comes then lies nearer to the range than was asked. The decoder told of a"
        " property but fed from the standard normal, the published way to generate, hears little of the request, as"
        " the table shows. A hit is what a network says, not a calculation."
    )


def _conditioned(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for row in metrics["requests"] if row["drawn"] == "conditioned"]


def _error(found: Mapping[str, float]) -> str:
    return f"{found['mae']:.4f} (R² {found['r2']:.3f}, n = {found['n']:,})"
