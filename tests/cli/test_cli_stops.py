"""A command that is asked to end does so with one line, however it was started and whatever it does."""

import signal
import subprocess
import sys

import pytest

from tests.support.serving import ROOT

COMMAND = """
import collections, functools, itertools, os, sys, time
from matgen_core import data, recipes
from matgen_core.cli import main

def work(*_):
    {work}

data.overview = recipes.recipe_named = work
sys.argv = ["matgen", *{arguments}]
main()
"""
LISTS, JUDGES = ["data", "list"], ["evaluate", "ding"]
SAYS = "functools.partial(os.write, 1)"
SLEEPS = f"{SAYS}(b'begun\\n'); time.sleep(600)"
TIDIES = f"try: {SLEEPS}\n    except KeyboardInterrupt: print('tidied', flush=True); raise"
DEAF = f"collections.deque(itertools.chain(map({SAYS}, [b'begun\\n']), itertools.repeat(0)), 0)"  # all of it in C
TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize(
    ("arguments", "work", "sent", "code", "said", "left"),
    [
        (LISTS, SLEEPS, TERM, 143, "matgen: stopped by SIGTERM\n", ""),
        (JUDGES, TIDIES, INT, 130, "matgen: stopped by SIGINT\n", "tidied\n"),
        (JUDGES, DEAF, TERM, -9, "", ""),
    ],
    ids=["terminated", "tidies", "deaf"],
)
def test_a_command_that_is_asked_to_end_says_so_in_one_line(
    arguments: list[str], work: str, sent: int, code: int, said: str, left: str
) -> None:
    # As a script starts a command in the background: interrupts are ignored.
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(work=work, arguments=arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(sent)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, err, out) == (code, said, left)
