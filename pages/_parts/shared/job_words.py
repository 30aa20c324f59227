"""The states of a job in words, the same on every page."""

from matgen_core.jobs.job import Status


def line(status: Status, running: str = "") -> str:
    """Say in a few words how a job stands.

    Args:
        status: Of the job.
        running: What is said of it while it runs.

    Returns:
        The words; "" for a job that is done, or not begun: in their place stands what came of it, or how to begin.
    """
    if status.state == "waiting":
        return f"waiting, {status.ahead} ahead"
    if status.state == "running":
        return running
    if status.state == "stopped":
        is_counted = status.total is not None and not status.stage  # what is done of a stage says little of the whole
        return f"stopped after {status.done:,.0f} of {status.total:,.0f}" if is_counted else "stopped"
    return status.problem


def stage(status: Status) -> str:
    """Say what a running job is doing, how much of that is done, and how long it has been at work."""
    share = "" if status.share is None else f" {status.share:.0%}"
    return f"{status.stage}{share} ({status.seconds:.0f} s)"


def about_seconds(low: float, high: float) -> str:
    """Say how long something will take: "5 s to 2 min"."""
    shortest, longest = _time(low), _time(high)
    return shortest if shortest == longest else f"{shortest} to {longest}"


def _time(seconds: float) -> str:
    if seconds < 55:
        return f"{max(1, round(seconds) if seconds < 10 else 5 * round(seconds / 5))} s"
    return f"{round(seconds / 60)} min"
