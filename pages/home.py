"""Home: what this is, which models are here, and whether all is well."""

import streamlit as st

from pages._parts.shared import login

login.require()

st.title("MatGen Explorer")
st.markdown(
    "Look inside generative models of inorganic materials: see where a model puts what is known, rank what is not,"
    " and how far either can be trusted. Nothing is fetched from outside this machine."
)

TOURS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        "pages/phase_fields.py",
        "Rank phase fields",
        "The 303 lithium fields that the published study chose from, ranked, with what each element adds.",
        {},
    ),
    (
        "pages/latent_map.py",
        "See Li-Sn-S-Cl on the map",
        "Where the field that the study went on to make lies among the known fields, and its true neighbors.",
        {"map": "phase_field_vae", "at": "Cl-Li-S-Sn", "candidates": "true"},
    ),
    (
        "pages/journeys.py",
        "Walk to a Heusler phase",
        "From SrTiO₃ to Cu₂MnAl in steps: each point decoded to a crystal in 3D, and where it leaves what is known.",
        {"journey": "icsg3d", "via": "mp-5229,mp-3574"},
    ),
    (
        "pages/compositions.py",
        "Write new lithium oxides",
        "A network writes formulas with lithium and oxygen by the thousand; what is charge neutral and new is left.",
        {"generator": "matgan_icsd", "has": "Li,O", "n": "100000"},
    ),
)
for column, (page, title, text, parameters) in zip(st.columns(4, gap="medium"), TOURS, strict=True):
    with column.container(border=True, height="stretch"):
        st.markdown(text)
        if st.button(title, icon=":material/arrow_forward:", type="primary"):
            st.switch_page(page, query_params=parameters)

# The first import takes seconds on a cold server; the page above stands while it goes on.
from pages._parts.shared import plain_text, widgets  # noqa: E402
from pages._parts.shared.plain_text import code, plain  # noqa: E402

good, broken = widgets.summaries()
st.subheader("Models")
for line in broken:
    plain_text.error(line)
if not good:
    st.info("No checkpoint is present. Make one with: `matgen train phase_field_norm`")
with st.grid(3, gap="small"):
    for summary in good:
        headline = summary["headline"]
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.markdown(f"**{plain(summary['title'])}**")
            for note in summary["notes"]:
                st.caption(f":material/info: {plain(note)}")
            st.caption(
                f"{code(summary['name'])} · {plain(summary['system'])} · can {', '.join(summary['capabilities'])}"
            )
            st.markdown(
                f"**{plain(headline['ours'])}** :small[{plain(headline['figure'])}]  \n"
                f":small[:gray[paper: {plain(headline['paper'])}]]"
            )

widgets.health_line(len(good), len(broken))
widgets.same_in_python(
    """
from matgen_core import checkpoint

for name in checkpoint.names():
    summary = checkpoint.summary(name)
    print(name, summary["title"], summary["headline"]["ours"], sep=" | ")
"""
)
