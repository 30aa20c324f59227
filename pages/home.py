"""Home: what this is, which models are here, and whether all is well."""

import streamlit as st

from pages._parts.shared import login

login.require()

st.title("MatGen Explorer")
st.markdown(
    "Look inside generative models of inorganic materials: see where a model puts what is known, rank what is not,"
    " and how far either can be trusted. Nothing is fetched from outside this machine."
)

STEPS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        "pages/latent_map.py",
        "A known crystal",
        "SrTiO₃ on the map of a model, with its card.",
        {"map": "icsg3d", "at": "mp-5229"},
    ),
    (
        "pages/structure_bench.py",
        "What it draws",
        "SrTiO₃ and what comes back of it, side by side.",
        {"bench": "icsg3d:mp-5229:original,icsg3d:mp-5229"},
    ),
    (
        "pages/journeys.py",
        "A walk",
        "From SrTiO₃ to the Heusler phase Cu₂MnAl, each step a crystal.",
        {"journey": "icsg3d", "via": "mp-5229,mp-3574"},
    ),
    (
        "pages/phase_fields.py",
        "A ranking",
        "303 lithium fields, and what each element adds to a score.",
        {"field": "Cl-Li-S-Sn"},
    ),
    ("pages/trust.py", "How far to trust it", "What was measured, and beside what.", {"checkpoint": "icsg3d"}),
)
PAGES: tuple[tuple[str, str, str, str, str, dict[str, str]], ...] = (
    (
        "Latent map",
        "scatter_plot",
        "Where does a model put what is known, and what lies near?",
        "pages/latent_map.py",
        "Li-Sn-S-Cl among the known fields",
        {"map": "phase_field_vae", "at": "Cl-Li-S-Sn", "candidates": "true"},
    ),
    (
        "Structure bench",
        "deployed_code",
        "What is in a crystal: sites, symmetry, powder pattern, predicted properties?",
        "pages/structure_bench.py",
        "SrTiO₃ on the bench",
        {"bench": "icsg3d:mp-5229"},
    ),
    (
        "Journeys",
        "route",
        "What lies between two materials, and where does the way leave what is known?",
        "pages/journeys.py",
        "SrTiO₃ to Cu₂MnAl",
        {"journey": "icsg3d", "via": "mp-5229,mp-3574"},
    ),
    (
        "Place my structures",
        "add_location_alt",
        "Where do my own crystals lie, are they new, and can the model draw them?",
        "pages/place.py",
        "Crystals that it was not trained on",
        {"example": "true"},
    ),
    (
        "Phase fields",
        "format_list_numbered",
        "In which elements should I look next, and why?",
        "pages/phase_fields.py",
        "Li-Sn-S-Cl in the ranking",
        {"field": "Cl-Li-S-Sn"},
    ),
    (
        "Compositions",
        "science",
        "Which formulas does a network write, and which of them are neutral and new?",
        "pages/compositions.py",
        "New lithium oxides",
        {"generator": "formula_lm_icsd", "has": "Li,O", "n": "100000"},
    ),
    (
        "Validate",
        "rule",
        "Which crystals are stable, new and sound, and how good is the generator that made them?",
        "pages/validate.py",
        "Samples of a generator",
        {"validate_source": "A generator"},
    ),
    (
        "Trust",
        "verified",
        "How good is each model, beside its paper and the simplest baseline?",
        "pages/trust.py",
        "What the words mean",
        {"word": "auc"},
    ),
)

st.subheader("The first minute")
for number, (column, (page, title, text, parameters)) in enumerate(
    zip(st.columns(len(STEPS), gap="small"), STEPS, strict=True), start=1
):
    with column:
        if st.button(f"{number}. {title}", type="primary", width="stretch", key=f"step_{number}"):
            st.switch_page(page, query_params=parameters)
        st.caption(text)

st.subheader("The pages")
with st.grid(4, gap="small"):
    for title, icon, question, page, example, parameters in PAGES:
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.markdown(f"**:material/{icon}: {title}**  \n:small[{question}]")
            if st.button(example, icon=":material/arrow_forward:", key=f"example_{page}"):
                st.switch_page(page, query_params=parameters)
of_made = st.empty()  # the ranks of the field that the study made a compound in: read when the page stands

# The first import takes seconds on a cold server; the page above stands while it goes on.
from pages._parts.phase_fields import made  # noqa: E402
from pages._parts.shared import plain_text, widgets  # noqa: E402
from pages._parts.shared.plain_text import code, plain  # noqa: E402

good, broken = widgets.summaries()
if told := made.ranks_of_made():
    of_made.markdown(f":small[:material/info: {plain(told)}]")
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
