"""The card of DING, written from what a run measured."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from matgen_core.networks.learning.draws import TOLERANCE
from matgen_core.networks.models.ding import CONDITIONS, DING
from matgen_core.recipes.ding.requests import CHECKED, hits_table, samples_table, written
from matgen_core.recipes.shared.card import markdown_table, write_card

# Pathak et al. (2020): mean absolute error and R^2 on a tenth of the formulas, drawn by row.
PAPER = {
    "formation_energy_per_atom": (0.0515, 0.91),
    "volume_per_atom": (0.399, 0.99),
    "energy_per_atom": (0.0722, 0.98),
}
PAPER_RECONSTRUCTION = {"exact": 0.9504, "off_by_1": 0.0179, "off_by_2": 0.0119}
ENOUGH = 100  # kept formulas of a request that is counted in a mean
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
            "Recipe": "`matgen train ding`: "
            + "; ".join(
                f"{name.replace('_', ' ')} {log['epoch']} epochs in {log['seconds'] / 60:.1f} min ({log['device']})"
                for name, log in training.items()
            )
            + ". The sharper prior goes on from the prior, on the means of the posteriors and mostly at the times at"
            " which a formula's elements are decided; it is the one in the checkpoint"
            + f". KL weight {c.beta:g}, no property told in {c.unknown:.0%} of the rows, guidance {c.guidance:g},"
            f" {sum(weight.numel() for weight in model.parameters()):,} weights. Energy is formation energy plus the"
            f" energies of the elements, fitted by least absolute errors: exact within 1 meV in"
            f" {references['within_1_meV']:.1%} of {references['n']:,} rows, {references['largest']:.2f} eV/atom off"
            " at worst (rows with another convention, mostly oxides of transition metals); the network learns the"
            " rest.",
            "Figures beside the paper's": figures_text(metrics),
            "What was tried": "Strengths of the guidance, mean over the requests of the share of hits as the predictor"
            f" (not the judge) sees them:\n\n{markdown_table(pd.DataFrame(metrics['tried']).round(3))}\n\n"
            "The prior before it went on and after, by the same share of hits, and by free draws: half the sum of the"
            " differences to the training formulas, of the shares by number of elements (n_elements_off) and of the"
            f" shares of the elements (elements_off).\n\n{markdown_table(pd.DataFrame(metrics['priors']).round(3))}",
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
    sieved = metrics["kept"]
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
            f"{markdown_table(hits_table(metrics['requests'] + [row for kept in sieved.values() for row in kept]))}",
            kept_text(metrics),
            free_text(metrics),
        ]
    )


def kept_text(metrics: Mapping[str, Any]) -> str:
    """What remains when another network sieves the draws, and what the samples are."""
    sieved = metrics["kept"]
    alike = metrics["agreement"]["formation_energy_per_atom_correlation_of_errors"]
    # Shares of a handful say nothing.
    fewest = [min(row["n"] for row in rows) for rows in zip(*sieved.values(), strict=True)]
    enough = max(min(ENOUGH, max(fewest)), 1)
    compared = [i for i, n in enumerate(fewest) if n >= enough]
    means = {name: _mean_hits([rows[i] for i in compared]) for name, rows in sieved.items()}
    drawn = _mean_hits([_conditioned(metrics)[i] for i in compared])
    text = (
        "Kept by the predictor: the draws under the condition that the predictor puts within the tolerance, until"
        f" {max(row['n'] for row in sieved['predictor']):,} are kept; this is how formulas under wanted properties are"
        f" best taken. Over the {len(compared)} requests of which at least {enough:,} are kept, the judge puts"
        f" {means['predictor']:.1%} of the kept ones there, and {drawn:.1%} of all draws. The predictor learned from"
        f" the judge's data too, and their errors correlate by {alike:.2f}: the judge is kinder to what the predictor"
        " keeps than calculations would be."
    )
    if "guide" in sieved:
        text += (
            f" The guide, which has seen none of the judge's data, keeps formulas of which the judge puts"
            f" {means['guide']:.1%} there."
        )
    return (
        f"{text}\n\nWhat the samples are, of all draws under the condition and of those that the predictor kept:\n\n"
        f"{markdown_table(samples_table(_conditioned(metrics), sieved['predictor']))}"
    )


def free_text(metrics: Mapping[str, Any]) -> str:
    """What is drawn when nothing is asked for, and what one noise vector for a batch does."""
    rows = metrics["free_draws"]
    sizes = sorted({int(n) for row in rows for n in row["n_elements"]})
    table = pd.DataFrame(
        [
            {"nothing asked for": row["drawn"], "n": f"{row['n']:,}"}
            | {f"{n} elements" if n != 1 else "1 element": f"{row['n_elements'].get(str(n), 0.0):.1%}" for n in sizes}
            | {"numbers of elements off": f"{row['n_elements_off']:.3f}", "elements off": f"{row['elements_off']:.3f}"}
            for row in rows
        ]
    )
    noise = metrics["shared_noise"]
    return (
        "Free draws beside the training formulas; off is half the sum of the differences of the shares (0: alike, 1:"
        f" nothing common), 0 elements is an empty table.\n\n{markdown_table(table)}\n\n"
        "The released code takes one noise vector for a whole batch. With points of the standard normal and the decoder"
        f" told, a batch of {noise['batch']:,.0f} then has {noise['shared, one request']:.1%} unique formulas under one"
        f" request (fresh noise, as here: {noise['fresh, one request']:.1%}), and"
        f" {noise['shared, a request a row']:.1%} where each row is told the properties of another formula"
        f" ({noise['fresh, a request a row']:.1%})."
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


def _mean_hits(rows: list[dict[str, Any]]) -> float:
    return sum(row["hits"]["all"] for row in rows) / len(rows) if rows else math.nan


def _error(found: Mapping[str, float]) -> str:
    return f"{found['mae']:.4f} (R² {found['r2']:.3f}, n = {found['n']:,})"
