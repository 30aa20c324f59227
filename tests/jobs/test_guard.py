"""A process that is asked to end is gone soon, whatever it does; nothing of it stays."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from matgen_core.jobs import guard
from tests.support.serving import ROOT, server_of
from tests.support.waiting import until

GUARD = 60  # s, far more than anything here takes: a process that is not ended stays for ever
PROCESS = """
import itertools, signal, sys, threading, time
from matgen_core.jobs import guard
from matgen_core.jobs.files.folders import TemporaryFolder

def stop(number, frame):
    {heard}

for number in {handled}:
    signal.signal(number, stop)
started = threading.Thread(target=guard.end_within_seconds)  # a page runs in a thread too
started.start()
started.join()
{then}
folder = TemporaryFolder("matgen-test-")
print(folder.path, flush=True)
{work}
"""
DEAF, WAITS, SLEEPS = "sum(itertools.repeat(0))", "threading.Event().wait()", "time.sleep(600)"
TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, here and in the processes that tests start."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.mark.parametrize(
    ("handled", "heard", "work", "then", "sent", "code"),
    [
        ([15], "pass", DEAF, "", TERM, -9),
        ([15, 2], "pass", WAITS, "", INT, -9),
        ([15], "sys.exit(5)", SLEEPS, "", TERM, 5),
        ([15], "time.sleep(0.1); sys.exit(5)", SLEEPS, "guard.end_within_seconds()", TERM, 5),
        ([15], "sys.exit(5)", SLEEPS, "guard.let_go()", TERM, 5),
        ([], "pass", DEAF, "", TERM, -15),
    ],
    ids=["deaf", "waits", "ends by itself", "takes its time", "let go", "nobody handles it"],
)
def test_a_process_that_is_asked_to_end_does_so_or_is_ended(
    temporary: Path, handled: list[int], heard: str, work: str, then: str, sent: int, code: int
) -> None:
    assert guard.SECONDS <= 4, "a server is to be gone in 5 s"
    script = PROCESS.format(handled=handled, heard=heard, work=work, then=then)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert folder.exists()
        process.send_signal(signal.SIGWINCH)  # which asks for nothing
        process.send_signal(sent)
        if code == -9:
            process.send_signal(sent)  # which does not begin the wait anew
        try:
            assert process.wait(GUARD) == code
        finally:
            process.kill()
    if code != -15:  # else the next one that makes a folder takes it away
        assert until(lambda: not any(temporary.iterdir()))


@pytest.mark.browser
def test_a_server_whose_page_is_deaf_ends_and_leaves_nothing(tmp_path: Path, browser_page: Any) -> None:
    begun = tmp_path / "begun"
    (tmp_path / "temporary").mkdir()
    with server_of(
        ROOT / "tests" / "support" / "apps" / "deaf_app.py", BEGUN=str(begun), TMPDIR=str(tmp_path / "temporary")
    ) as (address, server):
        browser_page.goto(address)
        browser_page.get_by_role("button", name="Loop").click()
        assert until(lambda: begun.exists() and begun.read_text() != "")
        assert Path(begun.read_text()).exists()
        children = children_of(server.pid)
        assert children
        server.send_signal(signal.SIGTERM)
        assert server.wait(GUARD) == -9
        assert until(lambda: not any(os.path.exists(f"/proc/{child}") for child in children))
        assert not Path(begun.read_text()).exists()


def children_of(parent: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()] or [
        int(child)
        for task in Path(f"/proc/{parent}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
