"""A button that puts a text on the clipboard at once; where a browser forbids that, the text is shown, selected."""

import streamlit as st

from pages._parts.components.registration import registered


def copy_button(label: str, text: str, *, key: str, about: str, problem: str = "") -> None:
    """Show the button.

    Args:
        label: What stands on it.
        text: What is copied.
        key: Names the button on its page.
        about: What the text is for, shown under the pointer and where the text itself has to be shown.
        problem: Why there is nothing to copy; said at a click.
    """
    if text:
        text = f"{(st.context.url or '').partition('?')[0]}{text}"
    registered("copy_button", '<div class="cb"></div>')(
        key=key, data={"label": label, "text": text, "about": about, "problem": problem}
    )
