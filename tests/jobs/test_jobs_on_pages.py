"""How jobs stand, in the words of the pages that began them."""

import re
import threading
from collections.abc import Iterator
from functools import partial

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from matgen_core.checkpoint import Checkpoint
from matgen_core.jobs.job import Handle, Job
from matgen_core.jobs.turns import Turns
from matgen_core.latent.projection import Projected, ProjectionSettings, projected
from matgen_core.latent.space import Z
from matgen_core.latent.worker import ProjectionWorker
from matgen_core.tasks import journeys
from tests.support.page_checks import all_steps, page, said, seen, whole

LIMIT = 60  # s, far more than anything here takes


@pytest.fixture(autouse=True)
def fresh_caches() -> Iterator[None]:
    """No test sees the checkpoints of another."""
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


def press(test: AppTest, label: str) -> AppTest:
    return next(each for each in test.button if each.label == label).click().run()


def close(test: AppTest) -> AppTest:
    """Take note of a map that was not made."""
    return press(test, "Close") if any(each.label == "Close" for each in test.button) else test.run()


def test_a_map_that_was_asked_for_tells_how_it_stands(crystal_map: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    turns, gate, made = Turns(1), threading.Semaphore(0), list[Job]()

    def work(handle: Handle, z: Z) -> Projected:
        handle.report("fitting", 1, 4)
        assert gate.acquire(timeout=LIMIT)
        if len(made) < 4:
            raise ValueError("these points have no map")
        return projected(z, ProjectionSettings("pca"))

    def submit(worker: ProjectionWorker, z: Z, settings: ProjectionSettings) -> Job:
        made.append(Job(turns))
        made[-1].start(partial(work, z=z))
        return made[-1]

    def shown() -> str:
        (bar,) = whole(test.run()).get("progress")
        return seen(bar.proto.text)

    monkeypatch.setattr(ProjectionWorker, "submit", submit)
    test, what, mapped = page("latent_map").run(), "UMAP of 60 points, about 1 s to 50 s in all", "seed 0, of 60 points"
    before = turns.join()
    press(test, "Make the map")
    assert shown() == f"{what}: waiting, 1 ahead"
    press(test, "Cancel")
    assert not whole(test).get("progress")
    assert made[0].state == "stopped"
    press(test, "Make the map")
    before.leave()
    made[1].wait_for(lambda: made[1].status().stage == "fitting", LIMIT)
    assert re.fullmatch(rf"{what}: fitting 25% \(\d+ s\)", shown())
    made[1].stop()
    assert "No map was made: stopped." in [each.value for each in (*test.run().markdown, *test.error)]
    gate.release()
    made[1].wait(LIMIT)
    press(close(test), "Make the map")
    gate.release()
    made[2].wait(LIMIT)
    assert "No map was made: these points have no map." in [each.value for each in (*test.run().markdown, *test.error)]
    press(close(test), "Make the map")
    assert mapped not in said(test)
    gate.release()
    made[3].wait(LIMIT)
    assert mapped in said(whole(test.run()))


def test_a_journey_that_fails_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    walk = journeys.walk

    def broken(*asked: object, **more: object) -> Iterator[journeys.Step]:
        yield next(walk(*asked, **more))  # type: ignore[arg-type]
        raise OSError("the disk is gone")

    monkeypatch.setattr(journeys, "walk", broken)
    test = all_steps(page("journeys", journey="phase_field_vae", via="Cl-Li-S-Sn,Cl-Li-O-Sn", n_path="5"))
    whole(test, "the disk is gone")
    assert any("Of **1 of 5** steps" in each.value for each in test.markdown)
    assert not any(each.label in ("Stop", "Go on") for each in test.button)
