"""The pages: widgets in, one core call, figure and table out.

Streamlit takes a folder `pages` beside the app for its older kind of navigation until `app.py` has run once. If the
first visitor of a server opens the address of a page, that page would run without the app around it: start over then.
"""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

if PagesManager.uses_pages_directory:
    PagesManager.uses_pages_directory = False  # as st.navigation does
    st.rerun()
