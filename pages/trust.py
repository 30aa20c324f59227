"""Trust: what each model was measured on, beside baselines and the papers, and where the data are from."""

import streamlit as st

from matgen_core.tasks.validation import scoreboards
from matgen_core.tasks.validation.scores import MEASURES
from matgen_core.views import charts
from pages._parts.shared import latent_maps, login, plain_text, rankings, widgets
from pages._parts.shared.plain_text import code, plain
from pages._parts.words import glossary

login.require()

st.title("Trust")
st.markdown(
    "What was measured, on what, and beside what. Every figure here was measured by code of this project, except where"
    " a card names its source."
)
word = widgets.remembered("word")
with st.expander("What the words mean", icon=":material/dictionary:", expanded=True):
    for column, lines in zip(st.columns(2, gap="large"), glossary.halves(word), strict=True):
        column.markdown("\n".join(lines))
    st.caption("A link opens this list at a word, such as /trust?word=nats: " + ", ".join(map(code, glossary.WORDS)))
good, broken = widgets.summaries()
for line in broken:
    plain_text.error(line)

st.subheader("Rankings of phase fields: held-out evidence")
evidence = rankings.all_evidence()
if evidence.empty:
    st.info("No checkpoint here carries held-out evidence.")
else:
    st.markdown(
        "Five-fold cross-validation, which is kind: known fields that were held out, against random fields drawn in"
        " three ways. AUC is the chance that a held-out known field ranks before a random one; 0.5 is a coin toss."
        " Whiskers are one standard deviation over the folds; diamonds are baselines that count elements or pairs of"
        " elements. No field that holds no compound is known, so none of this is a probability of success."
    )
    widgets.chart(charts.evidence(evidence), "evidence", "Held-out AUC of rankers and baselines")
    rankers = [each["name"] for each in good if each["name"] in set(evidence["ranker"])]
    for name, sentence in rankings.verdicts(rankers).items():
        st.markdown(f"{code(name)}: {sentence}")
    st.dataframe(
        evidence.drop(columns="is_baseline"),
        hide_index=True,
        height="content",
        column_config={
            "ranker": "Ranker",
            "control": "Against",
            "auc": st.column_config.NumberColumn("AUC", format="%.3f", help=glossary.help_on("auc")),
            "auc_std": st.column_config.NumberColumn("± over folds", format="%.3f"),
            "enrichment_1": st.column_config.NumberColumn(
                "Enrichment, top 1 %", format="%.1f", help=glossary.help_on("enrichment")
            ),
            "enrichment_5": st.column_config.NumberColumn(
                "top 5 %", format="%.1f", help=glossary.help_on("enrichment")
            ),
        },
        alt="Held-out evidence",
    )

st.subheader("Generators of crystals: stable, unique, new")
try:
    board = scoreboards.table()
except (ValueError, OSError) as error:
    plain_text.error(str(error))
else:
    if board.empty:
        st.info("Nothing was compared yet. Begin with: `matgen validate FOLDER --out OUT --scoreboard NAME`")
    else:
        st.markdown(plain(scoreboards.verdict()))
        st.markdown(plain(scoreboards.protocol()))
        st.dataframe(
            board,
            hide_index=True,
            height="content",
            column_config={
                "name": st.column_config.TextColumn("Generator", pinned=True),
                "kind": "Kind",
                "n": st.column_config.NumberColumn("Samples", format="%d"),
                **{
                    each.key: st.column_config.NumberColumn(
                        each.title, format="%.1f%%" if each.is_share else "%.3f", help=each.meaning
                    )
                    for each in MEASURES
                },
            },
            alt="Scoreboard of the generators of crystals",
        )
        st.caption("Yours joins them with `matgen validate FOLDER --out OUT --scoreboard NAME`.")

st.subheader("Models")
if good:
    name = widgets.choose_checkpoint("Checkpoint", [each["name"] for each in good], key="checkpoint")
    model = widgets.load(name)
    left, right = st.columns(2, gap="large")
    with left:
        headline = model.metrics["headline"]
        st.markdown(f"{plain(headline['figure'])}: **{plain(headline['ours'])}**  \nPaper: {plain(headline['paper'])}")
        widgets.reconstruction_metrics(model.metrics)
        if name in widgets.names_with_map():
            space = latent_maps.load_map(name)
            st.markdown("**Projections**: how much of each neighborhood survives the flattening")
            widgets.chart(
                charts.faithfulness(space.index, space.projections), "faithfulness", "Faithfulness of the projections"
            )
        for note in model.notes:
            plain_text.warning(note)
        st.markdown("**Made by**")
        st.dataframe(widgets.provenance(name), hide_index=True, alt="Provenance")
    with right:
        with st.container(border=True, height=720):
            st.markdown(plain_text.card(model.card))
else:
    st.info("No checkpoint is present. Make one with: `matgen train phase_field_norm`")

st.subheader("Data")
st.markdown("None of these data are part of this project; the models carry only weights and computed values.")
st.dataframe(widgets.data_sets(), hide_index=True, alt="Data sets with licence and source")

st.subheader("Versions")
st.dataframe(widgets.versions(), hide_index=True, alt="Versions")
if good:
    widgets.same_in_python(
        f"""
from matgen_core import checkpoint, data
from matgen_core.tasks import ranking

model = checkpoint.load({name!r})
print(ranking.evidence_frame({name!r}, model.metrics).to_string())
print(data.overview().to_string())
"""
    )
