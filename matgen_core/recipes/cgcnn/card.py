"""The cards of the property networks, written from what a run measured."""

from typing import Any

import pandas as pd

from matgen_core.materials.properties import property_named
from matgen_core.networks.models.cgcnn import CGCNNConfig
from matgen_core.recipes.shared.card import markdown_table, write_card


def cgcnn_card(name: str, config: CGCNNConfig, run: dict[str, Any], metrics: dict[str, Any], data_text: str) -> str:
    """Write the card of one ensemble.

    Args:
        name: Of the checkpoint.
        config: Of the network.
        run: Settings of the run and what it took.
        metrics: As they stand in metrics.json.
        data_text: What the data are.
    """
    test = metrics["test"]
    figures = (
        f"On crystals whose chemical system no network saw ({metrics['split']}; the split is the same for all"
        f" property networks here):\n\n{_figures_table(test)}\n\nThe paper split at random, so that polymorphs and"
        " neighbors of a test crystal were often learned from, and had other crystals: its figures are beside ours, not"
        f" under the same conditions.{_like_with_like(metrics)}\n\nThe standard deviations on the same crystals:\n\n"
        f"{_calibration_table(test)}"
    )
    schedule = run["schedule"]
    start = f", starting from the trunk of `{run['start_from']}`" if run["start_from"] else ""
    return write_card(
        f"{name}: {', '.join(config.properties)}",
        {
            "What it is": f"{config.members} crystal graph networks that were started apart and trained at once, after"
            " Xie and Grossman 2018 (doi:10.1103/PhysRevLett.120.145301). The prediction is their mean; its standard"
            " deviation adds up their spread and the noise that each of them expects, times one factor a property that"
            f" was fitted on the validation side ({_factors(config, metrics)}).{_about(config)}",
            "Data": f"{data_text}\n\nJoined by material id. Elastic moduli of 2018 that are outside 1 to 600 GPa, or"
            " whose Poisson ratio is outside -0.2 to 0.49, are failed fits and were left out. Formation energies of"
            " all four sources were learned; those of 2024 differ from the older ones by 15 meV/atom (median), so no"
            " network can be right on both.",
            "Recipe": f"Every site with its 12 nearest neighbors within {config.cutoff:g} Å, shells kept whole;"
            f" {config.n_convolutions} gated convolutions of {config.node_dim} features an atom and {config.edge_dim}"
            f" an edge, edges learn too ({'yes' if config.edge_updates else 'no'}); mean over sites. Absolute error for"
            f" the mean, Laplace likelihood for the scale. AdamW, one-cycle rate with peak"
            f" {schedule['learning_rate']:g}, batches of {schedule['batch_size']}, dropout"
            f" {config.dropout:g}{start}. {run['epochs_run']} epochs in {run['minutes_run']:.1f} minutes on"
            f" {run['device']}. The members see the same batches in the same order and differ by their first weights."
            " Weights were rounded to what is stored before they were judged."
            f" `matgen train {name} --device cuda` does it again.",
            "Figures beside the paper's": figures,
            "What was tried": _tried(metrics),
            "Intended use": "Ranking and filtering generated or uploaded crystals before a calculation, with the"
            " standard deviation as a warning; checking the conditions that a generator was given.",
            "Out of scope": f"Elements other than the {config.n_elements} learned; partial occupancy; molecules and"
            " surfaces (an atom without a neighbor within the cutoff is refused); cells far from relaxed: all training"
            " crystals sit at a minimum of their energy, so a strained cell is read as if it were relaxed.",
            "Known failures": _failures(config, metrics),
        },
    )


def _figures_table(figures: dict[str, Any]) -> str:
    rows = []
    for name, figure in figures.items():
        unit = property_named(name).unit
        rows.append(_row(f"{name} ({unit})" if unit else name, figure, "mae", "r2", "mae_paper"))
        if "mae_log10" in figure:
            unit = f"log10 {unit}".strip()
            rows.append(_row(f"{name} ({unit})", figure, "mae_log10", "r2_log10", "mae_log10_paper"))
    return markdown_table(pd.DataFrame(rows))


def _row(label: str, figure: dict[str, Any], mae: str, r2: str, paper: str) -> dict[str, str]:
    one_number = f"{figure['mae_of_median']:.3f}" if mae == "mae" else ""
    return {
        "property": label,
        "crystals": f"{figure['n']:,}",
        "MAE": f"{figure[mae]:.4f}",
        "R²": f"{figure[r2]:.3f}",
        "MAE of one number for all": one_number,
        "paper's MAE (random split)": f"{figure[paper]:.3f}" if paper in figure else "none",
    }


def _calibration_table(figures: dict[str, Any]) -> str:
    return markdown_table(
        pd.DataFrame(
            {
                "property": name,
                "inside 1 standard deviation (68.3 % wanted)": f"{figure['inside_1_sigma']:.1%}",
                "inside the 90 % interval": f"{figure['inside_90_percent']:.1%}",
                "negative log-likelihood": f"{figure['nll']:.3f}",
                "before the factor": f"{figure['nll_uncalibrated']:.3f}",
                "rank correlation with the error": f"{figure['rank_correlation_of_std_and_error']:.2f}",
            }
            for name, figure in figures.items()
        )
    )


def _like_with_like(metrics: dict[str, Any]) -> str:
    if "random_split" not in metrics:
        return ""
    return (
        "\n\nLike with like, trained anew on a random split (fewer members):\n\n"
        f"{_figures_table(metrics['random_split']['test'])}"
    )


def _tried(metrics: dict[str, Any]) -> str:
    text = (
        "A neighbor list cut at exactly 12 depends on the order of the sites where a shell is cut; whole shells do not."
        " Energies above the hull stand in place of the total energy of Court 2020, which these data lack."
    )
    if "paper_design" in metrics:
        text += (
            " The sizes of the paper (3 convolutions of 64 features, edges that do not learn), on the same split with"
            f" fewer members:\n\n{_figures_table(metrics['paper_design']['test'])}"
        )
    return text


def _about(config: CGCNNConfig) -> str:
    notes = []
    if "refractive_index" in config.properties:
        notes.append(
            " The refractive index of these data is the square root of the electronic dielectric constant: the two"
            " columns hold one piece of knowledge."
        )
    if "poisson_ratio" in config.properties:
        notes.append(" The Poisson ratio of these data follows from the two moduli; it has its own head here.")
    if config.nonnegative:
        notes.append(f" {' and '.join(config.nonnegative)}: predictions below 0 are given as 0.")
    return "".join(notes)


def _factors(config: CGCNNConfig, metrics: dict[str, Any]) -> str:
    return ", ".join(f"{name} {metrics['test'][name]['calibration_factor']:.2f}" for name in config.properties)


def _failures(config: CGCNNConfig, metrics: dict[str, Any]) -> str:
    lines = []
    for name in config.properties:
        figure = metrics["test"][name]
        worst = ", ".join(f"{element} {error:.3g}" for element, error in figure["worst_elements"].items())
        lines.append(
            f"- {name}: one test crystal in a hundred is off by more than {figure['error_99_percent']:.3g}"
            f" {property_named(name).unit}; worst elements by MAE: {worst}."
        )
    return "\n".join(lines)
