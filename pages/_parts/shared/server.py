"""What is done once a server, with its first visitor."""

import streamlit as st

from matgen_core.jobs import guard
from matgen_core.views.crystals import uploaded


@st.cache_resource(show_spinner=False)
def prepare() -> None:
    """See that the server ends soon when it is asked to, and get the first process for files ready."""
    guard.end_within_seconds()
    uploaded.warm()
