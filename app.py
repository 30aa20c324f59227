"""The app: configuration, navigation, login where there is one. `streamlit run app.py` or `matgen app` opens it."""

from pathlib import Path

import streamlit as st

from pages._parts.shared import login, server
from pages._parts.words import old_names

server.prepare()
st.set_page_config(page_title="MatGen Explorer", page_icon="static/icon.svg", layout="wide")
st.html(Path(__file__).parent / "static" / "app.css")
standing = login.standing()
page = st.navigation(
    [
        st.Page("pages/home.py", title="Home", icon=":material/home:", default=True),
        st.Page("pages/latent_map.py", title="Latent map", icon=":material/scatter_plot:"),
        st.Page("pages/structure_bench.py", title="Structure bench", icon=":material/deployed_code:"),
        st.Page("pages/journeys.py", title="Journeys", icon=":material/route:"),
        st.Page("pages/place.py", title="Place my structures", icon=":material/add_location_alt:"),
        st.Page("pages/phase_fields.py", title="Phase fields", icon=":material/format_list_numbered:"),
        st.Page("pages/compositions.py", title="Compositions", icon=":material/science:"),
        st.Page("pages/validate.py", title="Validate", icon=":material/rule:"),
        st.Page("pages/trust.py", title="Trust", icon=":material/verified:"),
        *([login.page_to_leave()] if standing == "logged in" else []),
    ],
    position="hidden" if standing == "outside" else "top",
)
login.require()
old_names.read(page.url_path)
try:
    with server.nobody_else_imports():
        page.run()
finally:  # pages may stop in the middle
    old_names.mark()
    server.get_ready()
