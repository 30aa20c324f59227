"""Hostile texts in every kind of element, for the browser tests."""

import streamlit as st

from pages._parts.shared import plain_text
from pages._parts.shared.plain_text import code, plain
from tests.support.hostile import CARD, TEXTS

st.title("Plain texts")
for text in TEXTS:
    plain_text.error(text)
    st.button(plain(text), key=text)
    st.markdown(f"before **{plain(text)}** :small[{plain(text)}]")
    st.caption(code(text))
with st.container(key="card"):
    st.markdown(plain_text.card(CARD))
st.text("That is all.")
