"""Home: what this is, which models are here, and whether all is well."""

import streamlit as st

st.title("MatGen Explorer")
st.markdown(
    "Look inside generative models of inorganic materials: see where a model puts what is known, rank what is not,"
    " and how far either can be trusted. Every figure is computed on this machine."
)

st.subheader("Start here")
tours = st.columns(3, gap="medium")
for column, page, title, text, parameters in (
    (
        tours[0],
        "pages/phase_fields.py",
        "Rank phase fields",
        "The 303 lithium fields that the published study chose from, ranked, with what each element adds.",
        {},
    ),
    (
        tours[1],
        "pages/latent_map.py",
        "See Li-Sn-S-Cl on the map",
        "Where the field that the study went on to make lies among the known fields, and its true neighbors.",
        {"at": "Cl-Li-S-Sn", "candidates": "true"},
    ),
    (
        tours[2],
        "pages/trust.py",
        "Judge the models",
        "Held-out evidence beside plain baselines and the figures of the papers.",
        {},
    ),
):
    with column.container(border=True, height="stretch"):
        st.markdown(text)
        if st.button(title, icon=":material/arrow_forward:", type="primary"):
            st.switch_page(page, query_params=parameters)

# The first import takes seconds on a cold server; the page above stands while it goes on.
from pages import _widgets  # noqa: E402

good, broken = _widgets.summaries()
st.subheader("Models")
for line in broken:
    st.error(line)
if not good:
    st.info("No checkpoint is present. Make one with: `matgen train phase_field_norm`")
with st.grid(3, gap="medium"):
    for summary in good:
        with st.container(border=True, height="stretch"):
            st.markdown(f"**{summary['title']}**  \n`{summary['name']}`, {summary['system']}")
            with st.container(horizontal=True, gap="xsmall"):
                st.badge(summary["level"], color="gray")
                for capability in summary["capabilities"]:
                    st.badge(capability, color="blue")
            headline = summary["headline"]
            st.caption(headline["figure"])
            st.markdown(f"**{headline['ours']}**  \n:small[paper: {headline['paper']}]")

_widgets.health_line(len(good), len(broken))
_widgets.same_in_python(
    """
from matgen_core import checkpoint

for name in checkpoint.names():
    summary = checkpoint.summary(name)
    print(name, summary["title"], summary["headline"]["ours"], sep=" | ")
"""
)
