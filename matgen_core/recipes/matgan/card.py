"""The card of MatGAN, from its metrics."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from matgen_core.recipes.matgan.figures import PAPER, PAPER_RECOVERY, SAMPLE_COUNTS
from matgen_core.recipes.shared.card import markdown_table, write_card
from matgen_core.recipes.shared.formula_sets import FormulaSet

if TYPE_CHECKING:
    from matgen_core.recipes.matgan.recipe import MatGANRecipe

WORDS = {2: "binary", 3: "ternary", 4: "quaternary"}


def matgan_card(recipe: "MatGANRecipe", metrics: dict[str, Any], formulas: FormulaSet, data_text: str) -> str:
    """Write the card."""
    c, first, second = recipe.learner.config, recipe.learner.likelihood, recipe.learner.adversarial
    training = metrics["training"]
    return write_card(
        f"{recipe.name}: {recipe.title[0].lower()}{recipe.title[1:]}",
        {
            "What it is": f"A Wasserstein GAN with gradient penalty that writes formulas of {len(formulas.elements)}"
            f" elements with counts of at most {c.n_counts} (doi:10.1038/s41524-020-00352-0; the paper has 85"
            " elements). The generator writes an element with its count, sees what it has written, and goes on, from"
            f" the least to the most electronegative. A latent point is {2 * c.n_slots} normal numbers, two for each"
            " choice. There is no encoder: the map shows a fixed bank of generated formulas beside real ones, in the"
            " last layer of the critic.",
            "Data": f"{data_text}\n\n{len(formulas.formulas):,} distinct reduced formulas of 2 to 8 elements, of"
            f" {len(formulas.everything):,} in all; the others {formulas.others}. A tenth, drawn at random, was"
            " held out. The paper has 291,884 formulas of the OQMD and 28,137 of the ICSD, which is not free;"
            " the formulas here that stand in the ICSD are those of Materials Project structures of at most 20 atoms.",
            "Recipe": f"First by likelihood: {first.epochs} epochs of batches of {first.batch_size}, AdamW at"
            f" {first.learning_rate:g}, weight decay {first.weight_decay:g}, dropout {c.dropout:g}"
            f" ({training['likelihood']['seconds'] / 60:.1f} minutes). Then against the critic: {second.critic_first}"
            f" steps of the critic alone, then {training['adversarial']['step']:,.0f} steps of the generator, each"
            f" after {second.critic_steps} of the critic, batches of {second.batch_size}, Adam at"
            f" {second.learning_rate:g} and {second.critic_learning_rate:g}, gradient penalty {c.penalty:g}"
            f" ({training['adversarial']['seconds'] / 60:.1f} minutes). Width {c.hidden}, critic {c.critic}, seed"
            f" {recipe.seed}; on a processor. While it learned from the critic it wrote at a temperature of"
            f" {c.element_temperature:g}, elements and counts alike; as shipped it writes elements at"
            f" {recipe.element_temperature:g} and counts at {recipe.count_temperature:g}. `matgen train {recipe.name}`",
            "Figures beside the paper's": _figures(recipe.name, metrics),
            "What was tried": tried_text(recipe, metrics),
            "Intended use": "Writing many hypothetical formulas for a funnel: unique, neutral, balanced, new,"
            " predicted; seeing what a generator has learned of chemistry.",
            "Out of scope": "Stability, structure, synthesis: a formula here is a combination that looks like its"
            f" training set. Counts above {c.n_counts}, fractional counts, and elements that the training set lacks.",
            "Known failures": _failures(metrics),
        },
    )


def _figures(name: str, metrics: dict[str, Any]) -> str:
    paper, samples, training = PAPER[name], metrics["samples"], metrics["training_formulas"]

    def published(key: str) -> str:
        return f"{paper[key]:g} %" if key in paper else "not given"

    middle = samples[str(SAMPLE_COUNTS[1])]
    rows = [
        ("training formulas, charge neutral", published("neutral_training"), f"{training['neutral']:.1%}"),
        ("generated (different ones of 330,000), charge neutral", published("neutral"), f"{middle['neutral']:.1%}"),
        ("training formulas, neutral and balanced", published("balanced_training"), f"{training['balanced']:.1%}"),
        ("generated, neutral and balanced", published("balanced"), f"{middle['balanced']:.1%}"),
    ]
    for n in SAMPLE_COUNTS:
        found = samples[str(n)]
        rows.append((f"unique of {n:,} samples", published(f"unique_{n}"), f"{found['unique']:.1%}"))
    last = samples[str(SAMPLE_COUNTS[-1])]
    rows += [
        ("the same shares at 2,000,000: neutral", "not given", f"{last['neutral']:.1%}"),
        ("neutral and balanced", "not given", f"{last['balanced']:.1%}"),
        ("different ones of 2,000,000 that are not in the training set", "92.53 %", f"{last['novel']:.1%}"),
        ("samples that are no formula", "not given", f"{last['no_formula']:.2%}"),
    ]
    table = pd.DataFrame(rows, columns=["figure", "paper", "ours"])
    recovered = pd.DataFrame(
        [
            {
                "elements": WORDS[n],
                "training, written again": f"{found['training']:.1%} ({PAPER_RECOVERY[n][0]:g} %)",
                "held out, written": f"{found['held_out']:.1%} ({PAPER_RECOVERY[n][1]:g} %)",
                "written, new": f"{found['new']:.2%} ({PAPER_RECOVERY[n][2]:g} %)",
                "held out": f"{found['n_held_out']:.0f}",
            }
            for n, found in ((n, metrics["recovery"][str(n)]) for n in WORDS)
        ]
    )
    return (
        f"{markdown_table(table)}\n\nChecks as the paper makes them: one oxidation state an element (SMACT's table of"
        " 2014), alloys judged as everything else, balance after neutrality; what lacks states or an electronegativity"
        " does not pass. The shares follow the training set, in the paper and here, so they are to be read beside its"
        f" own. With 2,000,000 samples (in brackets the paper, whose figure does not say of which network):\n\n"
        f"{markdown_table(recovered)}\n\nEach count is one choice, so the paper's threshold of 0.2, which lets two"
        " counts of an element win, and the highest cell read the same formulas here. The elements occur as often as in"
        f" the training set to {metrics['element_distance']:.1%} (half the sum of the differences in their shares)."
    )


def tried_text(recipe: "MatGANRecipe", metrics: dict[str, Any]) -> str:
    """Table of what was tried beside what is shipped, and what was not kept."""
    shipped = {
        **metrics,
        "element_temperature": recipe.element_temperature,
        "count_temperature": recipe.count_temperature,
    }
    first, *others = metrics["tried"]
    rows = [("likelihood alone", first), ("and the critic, as shipped", shipped)]
    rows += [("the same, other temperatures", found) for found in others]
    table = pd.DataFrame([{"learned from": name, **_tried_row(found)} for name, found in rows])
    return (
        f"{markdown_table(table)}\n\nShares of the different ones of {SAMPLE_COUNTS[1]:,} samples; the distance of the"
        " elements is half the sum of the differences between their shares and those of the training set. A higher"
        " temperature of the elements buys variety and writes rare elements more often than they occur; a lower one of"
        " the counts buys charges that add up.\n\nThree generators that learned from the critic alone were not kept."
        " One drew a softmax of absence and counts for each element: an element that is absent everywhere gets no"
        " gradient and never returned. One chose an element in each of eight slots, the highest forward and the softmax"
        " backward: it collapsed to few formulas. One drew the choices of the same slots: it was stable, but slots that"
        " do not see each other write formulas of too few and of too many elements, and counts that do not fit"
        " together."
    )


def _tried_row(found: dict[str, Any]) -> dict[str, str]:
    middle = found["samples"][str(SAMPLE_COUNTS[1])]
    return {
        "temperature of elements": f"{found['element_temperature']:g}",
        "of counts": f"{found['count_temperature']:g}",
        **{f"unique of {n:,}": f"{found['samples'][str(n)]['unique']:.1%}" for n in SAMPLE_COUNTS[:-1]},
        "neutral": f"{middle['neutral']:.1%}",
        "neutral and balanced": f"{middle['balanced']:.1%}",
        "not in the training set": f"{middle['novel']:.1%}",
        "distance of the elements": f"{found['element_distance']:.1%}",
    }


def _failures(metrics: dict[str, Any]) -> str:
    first, last = metrics["samples"][str(SAMPLE_COUNTS[0])], metrics["samples"][str(SAMPLE_COUNTS[-1])]
    return (
        f"Variety falls with the number of samples, from {first['unique']:.0%} unique of 10,000 to"
        f" {last['unique']:.0%} of 2,000,000. Of the different formulas of 10,000 samples {first['balanced']:.0%} are"
        f" neutral and balanced, of those of 2,000,000 {last['balanced']:.0%}. Rare elements are written more often"
        f" than they occur: the distance of the elements from the training set is {metrics['element_distance']:.1%}."
        " Neutral and balanced is weak evidence: one choice of oxidation states that adds up is enough. The held-out"
        " tenth was looked at while the number of epochs was chosen; the temperatures were chosen by the uniqueness,"
        " neutrality and balance of the samples themselves."
    )
