"""Works of this visitor: whose they are, the one line that a server has, and how a work stands in words."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from matgen_core.tasks.validation import beside, together
from matgen_core.tasks.validation.beside import Standing, Validations
from matgen_core.tasks.validation.inputs import Candidate
from pages._parts.components import visitor_number
from pages._parts.shared import job_words, login
from pages._parts.shared.bench_crystals import VALIDATION

_COOKIE = "matgen_visitor"
_NUMBER = re.compile(r"[0-9a-f]{32}")
CRYSTAL = "crystal"  # in the address: the crystal that is looked at
BADGES: dict[beside.State, tuple[str, Any, str]] = {
    "waiting": ("waiting", "blue", "hourglass_empty"),
    "running": ("running", "blue", "progress_activity"),
    "interrupted": ("interrupted", "orange", "power_off"),
    "stopped": ("stopped", "orange", "stop"),
    "failed": ("failed", "red", "error"),
    "done": ("done", "green", "check"),
}


@st.cache_resource(show_spinner=False)
def line() -> Validations:
    """Return the one line of this server."""
    return Validations()


def owner() -> str:
    """Say whose works these are: of who has logged in, else of this browser.

    A browser is known by a random number that it keeps as a cookie; no other browser can guess it. What is stored is a
    hash of it.
    """
    if login.standing() == "logged in":
        who = f"{st.user.get('iss', '')} {st.user.get('sub') or st.user.get('email')}"
        return f"login:{hashed(who)}"
    kept = str(st.context.cookies.get(_COOKIE, ""))
    number = st.session_state.setdefault("visitor", kept if _NUMBER.fullmatch(kept) else secrets.token_hex(16))
    if number != kept:
        visitor_number.leave(_COOKIE, number)
    return f"browser:{hashed(number)}"


def hashed(text: str) -> str:
    """Return what is kept in place of a text that nobody else shall know."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def look_at(work: str) -> None:
    """Open a work, or none."""
    st.session_state[VALIDATION], st.session_state[CRYSTAL] = work, ""


def look_closer(place: int) -> None:
    """Look at one crystal of the work that is open."""
    st.session_state[CRYSTAL] = str(place + 1)


def go_on(work: str, whose: str) -> None:
    """Go on with a work, and open it."""
    line().go_on(work, whose)
    look_at(work)


def stop(work: str, whose: str) -> None:
    """End a work; what is done stays."""
    line().stop(work, whose)


def remove(work: str, whose: str) -> None:
    """Forget a work."""
    line().remove(work, whose)
    look_at("")


def progress_line(standing: Standing) -> str:
    """Write how far a work is, how fast, and how long it will still take at this rate."""
    work = standing.work
    if standing.state == "waiting":
        return f"{work.n:,} crystals: waiting, {standing.ahead} ahead"
    told = f"{work.n_done:,} of {work.n:,} crystals judged with {work.settings['potential']}"
    left = standing.seconds_left
    if left is None:
        return f"{told} · the first ones tell how long it takes"
    rate = 60 * standing.n_here / standing.seconds
    return f"{told} · {rate:.2g} a minute · about {job_words.about_seconds(left, left)} left"


def left_over(standing: Standing) -> str:
    """Say why nothing happens to a work that is not done, and that nothing is lost."""
    work = standing.work
    kept = f"{work.n_done:,} of {work.n:,} are done and kept" if work.n_done else "nothing was done yet"
    told = {
        "interrupted": "Interrupted: whoever worked on it is gone",
        "stopped": "Stopped",
        "failed": f"It could not go on: {standing.problem}",
        "waiting": "Not begun",
        "running": "Another server works on it",
        "done": "",
    }[standing.state]
    return f"{told}; {kept}."


@st.cache_data(max_entries=24, show_spinner="Comparing the crystals with each other and with what is known …")
def table(
    work: str, n_done: int, _candidates: Sequence[Candidate], _rows: Sequence[Any], _rests: Sequence[Any]
) -> tuple[pd.DataFrame, str]:
    """Return the whole table of a work, and why it is not whole."""
    return together.table_apart(_candidates, _rows, _rests)
