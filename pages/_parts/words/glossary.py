"""What the words mean: one list, shown whole on Trust and as the help of a word where it stands.

Trust opens at a word by its address: `/trust?word=nats`.
"""

from dataclasses import dataclass
from itertools import accumulate

from matgen_core.checks.structures import MIN_DISTANCE


@dataclass(frozen=True)
class Word:
    """One word and what it means, in Markdown of our own."""

    title: str
    meaning: str


WORDS: dict[str, Word] = {
    "phase_field": Word(
        "Phase field",
        "a set of elements, such as Li-Sn-S-Cl, in which a compound may be looked for; it has no amounts.",
    ),
    "score": Word(
        "Score",
        "how unlike known chemistry a phase field is, in the measure of one ranker; low is familiar. It is no energy"
        " and no probability, and scores of two rankers cannot be compared; their ranks can.",
    ),
    "interval": Word(
        "Rank, 90 %",
        "an ensemble of networks ranks each field once a network; this is the range without the lowest and the highest"
        " 5 % of these ranks. A wide range says that the rank is not to be taken to the letter.",
    ),
    "nats": Word(
        "Nats",
        "a measure of surprise: minus the natural logarithm of the probability that a network gave to what was really"
        " there. 0 is no surprise; 2.3 is a chance of one in ten; 4.6 one in a hundred.",
    ),
    "auc": Word(
        "AUC",
        "the chance that a known field that the ranker has not seen stands before a random one. 1 is perfect, 0.5 is a"
        " coin toss.",
    ),
    "enrichment": Word(
        "Enrichment",
        "how many times more known fields stand in the first 1 or 5 % of a ranking than chance would put there; 1 is"
        " chance.",
    ),
    "explained_variance": Word(
        "Explained variance",
        "the share of the differences between materials that survives the way through the network.",
    ),
    "decoder_spread": Word(
        "Decoder spread",
        "how much what a network gives back differs from material to material, in units of the spread of the data. Near"
        " 1 is healthy; 0 says that it gives back the same for everything: it has collapsed.",
    ),
    "active_dimensions": Word(
        "Active dimensions", "latent coordinates that carry something; in the others every material lies at 0."
    ),
    "latent": Word(
        "Latent space, latent distance",
        "where a network puts a material, as a list of numbers; alike materials lie near each other. The distance has"
        " no unit and compares only within one model.",
    ),
    "faithfulness": Word(
        "Faithfulness of a map",
        "the share of a point's 15 true neighbors, counted in the latent space, that are its neighbors on the flat map"
        " too.",
    ),
    "stability": Word(
        "Stability of a map", "the share of a point's neighbors on the map that are there again with another seed."
    ),
    "lasso": Word(
        "Lasso, and what it leaves out",
        "a line drawn around points. The map is flat and the latent space is not: the share of the true neighbors that"
        " lie outside says how far the outline can be trusted as a group.",
    ),
    "training_percentile": Word(
        "Unusual; as near as the training data",
        "the share of the training materials that lie nearer to their neighbors than this one does. Up to 95 % it is"
        " called “as near as the training data”: no farther out than most. It does not say that the material is in a"
        " database.",
    ),
    "hull": Word(
        "Energy above hull, hull distance",
        "how much energy an atom a crystal would gain by falling apart into the best mixture of known phases, eV/atom."
        " 0 is stable at 0 K; up to about 0.05 is often made. Below 0 it lies deeper than all phases that are known.",
    ),
    "sun": Word(
        "S.U.N.",
        "stable, unique and new: the share of all samples of a generator that, relaxed, lie on the hull of known phases"
        " (or within 0.1 eV/atom of it), are not the same as one before, and match no known crystal.",
    ),
    "potential": Word(
        "Potential",
        "a network that gives the energy of a crystal and the forces on its atoms, learned from calculations (DFT);"
        " thousands of times quicker than these, and wrong where it has seen nothing alike.",
    ),
    "relaxation": Word(
        "Relaxation",
        "atoms and cell follow the forces downhill until they are at rest. What is judged for stability is the crystal"
        " that comes of it, not the one that was given.",
    ),
    "formation_energy": Word(
        "Formation energy", "energy of a crystal below (negative) or above its elements, eV/atom; it is not the hull."
    ),
    "mae": Word(
        "MAE", "mean absolute error: how far predictions lie from the values on average, in the unit of the value."
    ),
    "rmsd": Word(
        "RMSD, deviation of the sites",
        "how far the atoms of two crystals lie apart on average (root mean square) after the best overlay, Å.",
    ),
    "valid": Word(
        "Valid",
        f"on a line it means that no two atoms are closer than {MIN_DISTANCE} Å, and nothing more; of generated"
        " crystals it also asks for charges that can add up to zero. Most points between two unlike crystals hold"
        " elements that neither has, or have a wrong volume: the cards of the crystal models say how many.",
    ),
    "neutral": Word(
        "Charge neutral, electronegativity balanced",
        "some usual oxidation states add up to zero; and the elements with positive ones are the less electronegative."
        " Undecided where the elements have no such states, as metals among themselves.",
    ),
    "novel": Word(
        "Novel", "not in the data set that the model learned from, in any multiple. That is not “unexplored”."
    ),
    "cubic": Word(
        "Cubic crystals",
        "three families: binary compounds, Heusler phases and perovskites. Others are taken without having been"
        " learned, and most do not come back.",
    ),
    "comes_back": Word(
        "Comes back",
        "what the latent point decodes to matches the crystal. It is often little more than to recognize the elements:"
        " the card has the share that the formula and the nearest training crystal reach without a network.",
    ),
    "held_out": Word(
        "Held out",
        "kept from the training, to judge by. It differs: rankings by cross-validation look better than on the fields"
        " that older databases lack. Both are on the cards.",
    ),
    "formula_lm": Word(
        "Formula language model",
        "a recurrent language model with a short adversarial stage. Its temperatures were chosen on the figures that it"
        " is judged by.",
    ),
    "request": Word("Meets a request", "another network says so. It is no calculation."),
}


def help_on(*keys: str) -> str:
    """Return what some words mean, as the help of something that uses them."""
    return "  \n".join(f"**{WORDS[key].title}**: {WORDS[key].meaning}" for key in keys)


def halves(first: str = "") -> tuple[list[str], list[str]]:
    """Write every word with its meaning as a line, in the order of the alphabet, in two columns of about one length.

    Args:
        first: A word that stands before all others and is marked; any other text stands for none.
    """
    lines = []
    for key, word in sorted(WORDS.items(), key=lambda each: (each[0] != first, each[1].title.casefold())):
        mark = ":orange[:material/arrow_right:] " if key == first else ""
        lines.append(f"- :small[{mark}**{word.title}**: {word.meaning}]")
    lengths = list(accumulate(map(len, lines)))
    middle = sum(length <= lengths[-1] / 2 for length in lengths)
    return lines[:middle], lines[middle:]
