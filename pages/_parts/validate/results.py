"""What came of a work: the shares that count, the crystals, a table of all, files, and where it stands among others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core.tasks import origin
from matgen_core.tasks.validation import MEASURES, Protocol, columns, packing, score, scoreboards
from matgen_core.tasks.validation.beside import Standing
from matgen_core.tasks.validation.inputs import Candidate
from matgen_core.tasks.validation.scores import REFERENCES
from matgen_core.views import charts
from pages._parts.shared import plain_text, widgets
from pages._parts.shared.plain_text import plain
from pages._parts.validate import detail, gallery
from pages._parts.words import glossary

HEADLINE = ("made", "valid", "unique", "novel", "metastability", "msun")


@dataclass(frozen=True)
class Judged:
    """A work that is done.

    Attributes:
        standing: How it stands.
        candidates: All that were asked for.
        rests: What is kept beside each.
        table: A row each.
        source: What made the crystals.
        problem: Why the table is not whole.
    """

    standing: Standing
    candidates: Sequence[Candidate]
    rests: Sequence[Mapping[str, Any]]
    table: pd.DataFrame
    source: Mapping[str, Any]
    problem: str = ""

    @property
    def protocol(self) -> Protocol:
        """How it was judged."""
        return Protocol.of(self.standing.work.settings)

    @property
    def made_by(self) -> tuple[list[str], dict[str, Any]]:
        """Checkpoints and settings that made it, as files say."""
        generator = str(self.source.get("generator", ""))
        models = [*([generator] if generator in widgets.names_with("decode", None) else []), REFERENCES]
        return models, {**self.source, **self.standing.work.settings}


def show(judged: Judged, place: int | None) -> None:
    """Show everything; `place` is the crystal that is looked at, None for the first that is shown."""
    if judged.problem:
        plain_text.warning(judged.problem)
    shares(judged)
    with st.container(key="room_validate"):
        left, right = st.columns([6, 7], gap="medium")
    with left:
        places = gallery.chosen_rows(judged.table)
        looked_at = place if place is not None else places[0] if places else 0
        gallery.show(judged.candidates, judged.table, places, looked_at)
    with right, st.container(border=True):
        name = f"{judged.standing.work.id} {looked_at}"
        detail.show(judged.candidates[looked_at], judged.table.iloc[looked_at].to_dict(), judged.rests[looked_at], name)
    whole_table(judged)
    among_others(judged)


def shares(judged: Judged) -> None:
    """Show the shares that matter, each of all that was asked for, with its interval."""
    found = score(judged.table, judged.protocol)
    with st.container(horizontal=True, key="validate_shares"):
        for each in MEASURES:
            if each.key not in HEADLINE:
                continue
            value = found[each.key]
            told = "not told" if value is None else f"{value:.0%}"
            words = f"  \n{glossary.help_on('sun')}" if each.key == HEADLINE[-1] else ""
            below = "" if value is None else f"{found[f'{each.key}_low']:.0%} to {found[f'{each.key}_high']:.0%}"
            st.metric(
                each.title[:1].upper() + each.title[1:],
                told,
                below or None,
                delta_color="off",
                delta_arrow="off",
                help=f"{plain(each.meaning)}. Below it the 95 % interval.{words}",
            )
    st.caption(
        f"Shares of all {found['n']:,} that were asked for, failed ones included. Few tell little: the interval"
        " below each share says how far chance alone may move it."
    )


def save(judged: Judged) -> None:
    """Offer the table, and all crystals before and after."""
    models, settings = judged.made_by
    st.download_button(
        "Save all as zip",
        lambda: packing.packed(judged.candidates, judged.table, judged.rests, origin.origin(models, settings)),
        "validated.zip",
        "application/zip",
        on_click="ignore",
        icon=":material/folder_zip:",
        help="table.csv, and a CIF of each crystal before and after it was relaxed",
    )
    widgets.download(judged.table, "validated.csv", models=models, settings=settings)


def whole_table(judged: Judged) -> None:
    """Show the one table."""
    with st.expander(f"All {len(judged.table):,} as a table", icon=":material/table:"):
        shown = judged.table[columns.in_reading_order(list(judged.table))]
        config: dict[str, Any] = {}
        for key in shown:
            column = columns.column(str(key))
            help_text = plain(column.meaning) or None
            if column.digits is not None:
                config[str(key)] = st.column_config.NumberColumn(
                    column.title, format=f"%.{column.digits}f", help=help_text
                )
            elif str(key) in columns.checks(shown):
                config[str(key)] = st.column_config.CheckboxColumn(column.title, help=help_text)
            else:
                config[str(key)] = st.column_config.Column(column.title, help=help_text, pinned=key == "name")
        st.dataframe(
            shown,
            hide_index=True,
            height="content" if len(shown) <= 10 else 420,
            column_config=config,
            alt=f"{len(shown)} judged crystals",
        )


def among_others(judged: Judged) -> None:
    """Show where it stands among the generators here."""
    st.subheader("Beside the generators here")
    title = judged.standing.work.title
    try:
        board = scoreboards.beside(title, score(judged.table, judged.protocol))
    except (ValueError, OSError) as error:
        plain_text.error(error)
        return
    measures = {each.key: each for each in MEASURES if each.is_share and board[each.key].notna().any()}
    key = widgets.one_of(
        "Share",
        list(measures),
        "msun" if "msun" in measures else next(iter(measures)),
        "validate_measure",
        format_func=lambda each: measures[each].title,
        label_visibility="collapsed",
    )
    chart = charts.generators(board, key, f"{measures[key].title} (% of all samples, with the 95 % interval)", title)
    widgets.chart(chart, "validate_board", f"{measures[key].title} of this work and of the generators here")
    st.caption(f"Gray: without a network. The others: {plain(scoreboards.protocol())}")
