"""Waiting for what another thread does."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for what other threads do, ten seconds at most; longer for processes, which have to start."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)
    return holds()
