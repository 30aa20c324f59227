"""Links from before some checkpoints were renamed: each opens the model that it was made for, and a line says so.

An old name may be another model's today. So an address with such a name in it carries a mark, and one without the mark
that comes with a new session is from before. Links to a view of the map have a version instead.
"""

from collections.abc import Sequence

import streamlit as st

from matgen_core.checkpoint import renamed
from pages._parts.shared import plain_text

_MARK, _NOW = "names", "2"  # in the address: names are today's
_KNOWN, _SAID = "old_names@known", "old_names@said"


def read(page: str) -> None:
    """Bring the address of a new session up to date before anything reads it, and say what was found on its page.

    Args:
        page: The path of the page that is about to run.
    """
    if _KNOWN not in st.session_state:
        st.session_state[_KNOWN] = True
        old = renamed.names_in(_address())
        if old and st.query_params.get(_MARK) != _NOW:
            st.session_state[_SAID] = page, old
            for key in st.query_params:
                texts = st.query_params.get_all(key)
                st.query_params[key] = [renamed.brought_up_to_date(text) for text in texts]
            st.rerun()  # what is bound to the address has read it by now
    of_page, said = st.session_state.get(_SAID, ("", ()))
    if of_page == page:
        _warn([name for name in said if renamed.RENAMED[name] in _address()])  # until another model is chosen


def tell(page: str, old: Sequence[str]) -> None:
    """Say by which old names a link asked for its models, now and in every run of its page."""
    st.session_state[_SAID] = page, old
    _warn(old)


def mark() -> None:
    """Mark an address that holds a name which was another model's before."""
    if renamed.names_in(_address()):
        st.query_params[_MARK] = _NOW
    else:
        st.query_params.pop(_MARK, None)


def _address() -> str:
    return " ".join(text for key in st.query_params for text in st.query_params.get_all(key))


def _warn(old: Sequence[str]) -> None:
    for name in old:
        plain_text.warning(
            f"This link is from when the language model {renamed.RENAMED[name]} was called {name}: it opens that model."
        )
