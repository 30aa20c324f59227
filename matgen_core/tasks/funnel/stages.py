"""The stages of the funnel: what each keeps, and all that is said of it wherever it is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd


@dataclass(frozen=True)
class Stage:
    """One stage, which passes samples on or keeps them back.

    Attributes:
        key: What its count is called, also on the command line.
        title: What a figure calls it.
        meaning: What it says of a sample that it passed.
        column: Where the rows of a `funnel.Chunk` have what it judges.
        passes: From the values of that column to whether each passed: True, False, or missing where that is open.
        stopped: What is said of a row that it did not pass; "" if it passes every one.
        advice: What to do when it took the last samples; "" if it cannot.
        needs: What a run must have been given for this stage to be in it; "" if it is in every run.
        when_open: Whether what it can neither pass nor refuse goes on: always, or where the request keeps the
            undecided. None if it leaves nothing open.
    """

    key: str
    title: str
    meaning: str
    column: str
    passes: Callable[[Any], Any]
    stopped: str = ""
    advice: str = ""
    needs: Literal["", "predictors", "tolerance"] = ""
    when_open: Literal["always", "undecided are kept"] | None = None

    def lets_open_pass(self, keep_undecided: bool) -> bool:
        """Whether what it leaves open goes on, in a run that keeps the undecided or does not."""
        return self.when_open == "always" or (self.when_open is not None and keep_undecided)


def _as_it_stands(values: "pd.Series[Any]") -> "pd.Series[Any]":
    return values


STAGES = {  # in the order in which samples go through them
    stage.key: stage
    for stage in (
        Stage(
            key="generated",
            title="generated",
            meaning="Samples drawn from the model, every one of them.",
            column="sample",
            passes=lambda numbers: numbers > 0,
        ),
        Stage(
            key="formula",
            title="a formula",
            meaning="Those that decode to a formula at all.",
            column="n_elements",
            passes=lambda n_elements: n_elements > 0,
            stopped="no formula",
            advice="Draw more samples.",
        ),
        Stage(
            key="wanted",
            title="as asked for",
            meaning="With the elements and the numbers of elements and atoms that you asked for.",
            column="wanted",
            passes=_as_it_stands,
            stopped="not asked for",
            advice="Allow more elements or other numbers of elements and atoms, or draw more samples.",
        ),
        Stage(
            key="unique",
            title="unique",
            meaning="Each formula counts once, as it is written.",
            column="first",
            passes=_as_it_stands,
            stopped="came before",
        ),
        Stage(
            key="neutral",
            title="charge-neutral",
            meaning="Some choice of SMACT's oxidation states adds up to zero. Weak evidence: one choice is enough.",
            column="charge_neutral",
            passes=_as_it_stands,
            stopped="not neutral",
            advice="Keep what is undecided, allow more elements, or draw more samples.",
            when_open="undecided are kept",
        ),
        Stage(
            key="balanced",
            title="balanced",
            meaning="In such a choice every anion is more electronegative than any cation. Weak evidence, too.",
            column="electronegativity_balanced",
            passes=_as_it_stands,
            stopped="not balanced",
            advice="Keep what is undecided, allow more elements, or draw more samples.",
            when_open="undecided are kept",
        ),
        Stage(
            key="novel",
            title="novel",
            meaning="Not in the data set that this model learned from, in any multiple. That is not “unexplored”.",
            column="novel",
            passes=_as_it_stands,
            stopped="in the training data",
            advice="The model only wrote what it had learned from: allow more elements, or draw more samples.",
            when_open="always",  # what a model cannot know to be old may be new
        ),
        Stage(
            key="predicted",
            title="predicted",
            meaning="Every chosen predictor gave its values.",
            column="problem",
            passes=lambda problems: problems == "",
            stopped="not predicted",
            advice="“Not kept” tells what could not be predicted: leave those elements out, or choose other"
            " predictors.",
            needs="predictors",
        ),
        Stage(
            key="near",
            title="near the request",
            meaning="What is predicted lies within the limits of all that you asked for. A prediction is no"
            " measurement.",
            column="off_by",
            passes=lambda off_by: off_by <= 1,
            stopped="not near the request",
            advice="Widen the limits, ask for a value nearer to the training range, or draw more samples.",
            needs="tolerance",
        ),
    )
}
