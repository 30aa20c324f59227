"""What browser tests wait for."""

from typing import Any


def settle(page: Any, title: str) -> None:
    """Wait until a page has been drawn to its end."""
    page.get_by_role("heading", name=title, level=1).wait_for()
    page.get_by_text("The same in Python").wait_for()
    page.wait_for_function(
        "!document.querySelector('[data-testid=stSkeleton], [data-testid=stStatusWidgetRunningIcon]')"
    )


def settle_map(page: Any) -> None:
    """Wait until the map is there and drawn."""
    page.locator(".lm[data-state=ready]").wait_for()
