"""Waiting for what another thread does."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool]) -> bool:
    """Wait for what other threads do, ten seconds at most."""
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)
    return holds()
