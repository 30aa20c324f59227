"""A page that is deaf once a button is pressed: its thread loops in C and keeps the interpreter's lock."""

import itertools
import os
from pathlib import Path

import streamlit as st

from matgen_core.jobs.files.folders import TemporaryFolder
from pages._parts.shared import server

server.prepare()
st.title("Deaf")
if st.button("Loop"):
    folder = TemporaryFolder("matgen-test-")
    Path(os.environ["BEGUN"]).write_text(str(folder.path))
    sum(itertools.repeat(0))
