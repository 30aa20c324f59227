"""Leaves a number in the browser, by which a later session knows that it is the same visitor."""

from pages._parts.components.registration import registered


def leave(name: str, number: str) -> None:
    """Have the browser keep a number as a cookie for a year, unless it has one of that name."""
    registered("visitor_number", '<div class="vn"></div>')(key=f"{name}_kept", data={"name": name, "number": number})
