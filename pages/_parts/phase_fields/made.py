"""Where each ranker put the field that the study made a compound in: from stored figures, so Home opens at once."""

from contextlib import suppress

import streamlit as st

from matgen_core import checkpoint as checkpoints
from matgen_core.checkpoint import CheckpointError
from matgen_core.tasks import ranking
from pages._parts.shared import widgets
from pages._parts.shared.folder_caches import all_present, by_folder


@by_folder(st.cache_data, about=all_present, max_entries=4, show_spinner=False)
def ranks_of_made() -> str:
    """Say where each ranker put the field in which the study then made a compound; "" if none says."""
    told = []
    for name in widgets.names_with("score"):
        with suppress(CheckpointError), checkpoints.blamed(name):
            if where := ranking.rank_of_made(checkpoints.documents(name)[1]):
                told.append(f"{ranking.ranker_title(name)} {where}")
    made = ranking.MADE.chemists_order()
    if not told:
        return ""
    return f"The study went on to make a compound of {made}. Its rank: {'; '.join(told)}. Phase fields says why."
