"""A login before anything else, on a server whose secrets have a section [auth]; docs/hosting.md says how."""

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from pages._parts.shared import plain_text

_log = logging.getLogger(__name__)


def standing() -> Literal["open", "outside", "logged in"]:
    """How the visitor stands: "open" on a server without a login, else by whether he or she has logged in."""
    if _settings() is None:
        return "open"
    return "logged in" if st.user.get("is_logged_in") is True else "outside"


def require() -> None:
    """End the run with a login, unless nobody has to log in here or the visitor has.

    Each page asks for itself: a folder `pages` is Streamlit's older way to have pages, in which app.py is passed by.
    """
    if standing() != "outside":
        return
    settings = _settings() or {}
    st.title("MatGen Explorer")
    if find_spec("authlib") is None:
        plain_text.error("This server asks for a login and lacks what a login needs. Install requirements/login.lock.")
        st.stop()
    st.write("Log in to go on.")
    if "client_id" in settings:
        st.button("Log in", type="primary", on_click=st.login)
    for name, value in settings.items():
        if isinstance(value, Mapping) and name != "client_kwargs":
            st.button(f"Log in with {name}", on_click=st.login, args=(name,))
    st.stop()


def page_to_leave() -> Any:
    """Return the page that logs a visitor out."""
    return st.Page(_leave, title="Log out", icon=":material/logout:", url_path="log_out")


def _leave() -> None:
    st.logout()


def _settings() -> Mapping[str, Any] | None:
    """The section [auth]; None if there is none. Secrets that cannot be read let nobody in."""
    try:
        return st.secrets["auth"] if "auth" in st.secrets else None
    except StreamlitSecretNotFoundError as error:
        if not any(Path(path).exists() for path in st.get_option("secrets.files")):
            return None
        plain_text.error(
            "The secrets of this server cannot be read, so nobody gets in. Its owner finds the reason in the log."
        )
        _log.error("secrets cannot be read: %s", error)
        st.stop()
