"""The page of a multi-stage sweep as people see it, in Chromium: whole, live, quick, and safe from what runs write."""

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.remote.webelement import WebElement

from multistage.domain.live.summary import LiveSummary
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter
from multistage.wandb_server import summaries
from multistage.wandb_server.credentials import DRIVER_KEY
from multistage.wandb_server.pages.login_links import make_login_link
from tests.browser import PHONE, Browser
from tests.live_summaries import PARAMETERS, make_live
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session
from tests.wandb_server.test_summaries import tell

WIDE = (1400, 900)
EVIL = "<img src=x onerror=document.title='taken'></script><b>"
FIRST_PAINT = 1000
"""Milliseconds of work until a page of 1,000 runs is drawn."""
UPDATE = 200
"""Milliseconds of work for an update of it."""
DRAWING = ("ScriptDuration", "LayoutDuration")
"""Of that work, what is not the breathing of the live sign and of rows that have just changed."""


@pytest.fixture(scope="module")
def driver(wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server, (wandb_server.folder / DRIVER_KEY).read_text().strip()) as session:
        yield session


@pytest.fixture
def visitor(browser: Browser, wandb_server: ServerProcess) -> Browser:
    """A browser that is logged in."""
    browser.open(make_login_link(wandb_server.url, wandb_server.key))
    return browser


def visit(
    visitor: Browser, server: ServerProcess, uid: str, size: tuple[int, int] = WIDE, *, dark: bool = False
) -> None:
    """Open a sweep's page, and wait until all of it is drawn."""
    visitor.open(f"{server.url}/-/sweeps/{uid}", size, dark=dark)
    visitor.wait(lambda: visitor.run("return document.documentElement.dataset.drawn"))


def come_to(visitor: Browser, selector: str, drawn: str) -> list[WebElement]:
    """Scroll to a figure, and wait until it is drawn."""
    visitor.run("document.querySelector(arguments[0]).scrollIntoView()", selector)
    return visitor.wait(lambda: visitor.find(f"{selector} {drawn}"))


def read_facts(visitor: Browser) -> dict[str, str]:
    return dict(zip(visitor.read("#facts dt"), visitor.read("#facts dd"), strict=True))


def assert_quiet(visitor: Browser) -> None:
    """The page fits its window, and the console was silent."""
    assert visitor.errors() == []
    assert visitor.overflow() <= 0


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_the_page_shows_all_of_a_sweep(
    visitor: Browser, driver: Session, wandb_server: ServerProcess, size: tuple[int, int], dark: bool
) -> None:
    summary = make_live(uid=f"whole{size[0]}{dark:d}", share=0.4)
    assert tell(driver, summary) == 204
    visit(visitor, wandb_server, summary.uid, size, dark=dark)

    assert visitor.read("h1") == ["multistage_sweep_night"]
    assert visitor.read("#state") == ["running"]
    facts = read_facts(visitor)
    assert facts["runs done"] == f"{summary.used} of 150"
    assert (facts["training"], facts["waiting"], facts["lost"]) == ("6", "3", "1")
    assert "until" in facts["time left"]
    assert visitor.read("#best_note")[0].endswith("interim")
    assert visitor.read("#interim") == ["interim"]
    assert visitor.read("#verdict") == ["That it beats the defaults is 97% likely."]
    assert visitor.read("#waits li") == ["3 runs wait for a worker. All 6 workers are busy with other runs."]

    assert visitor.read("#stages b") == ["Stage 1", "Stage 2", "Stage 3"]
    assert visitor.find("#stages .now")[0].text.startswith("Stage 3")
    assert visitor.find("#stages a")[0].get_attribute("href") == f"{wandb_server.url}/local/p/sweeps/sweep1"
    come_to(visitor, "#ranges", ".band")
    assert visitor.read("#ranges .heading b") == [one.name for one in PARAMETERS]
    # A band a stage, and for choices one for each stretch of them.
    assert len(visitor.find("#ranges [data-name=policy_lr] .band")) == 3
    assert len(visitor.find("#ranges [data-name=policy_lr] .small_dots")) >= 4
    assert come_to(visitor, "#values", ".dots")
    assert visitor.find("#values .stair")
    assert visitor.find("#values .level")  # the defaults
    assert len(visitor.find("#running article .spark_line")) == 6
    assert "ValueError: loss was nan" in visitor.read("#failures code")[0]
    assert come_to(visitor, "#parallel", ".strand")
    assert len(visitor.find("#runs tbody tr[data-run]")) == (20 if size == PHONE else 50)
    assert visitor.find("#runs tbody a")[0].get_attribute("href").startswith(f"{wandb_server.url}/local/p/runs/")  # type: ignore[union-attr]
    assert_quiet(visitor)


def test_what_a_driver_tells_appears_without_a_reload(
    visitor: Browser, driver: Session, wandb_server: ServerProcess
) -> None:
    assert tell(driver, make_live(uid="moving", share=0.1)) == 204
    visit(visitor, wandb_server, "moving")
    before = read_facts(visitor)["runs done"]
    visitor.run("window.untouched = true")
    later = make_live(uid="moving", share=0.5)
    assert tell(driver, later) == 204
    visitor.wait(lambda: read_facts(visitor)["runs done"] == f"{later.used} of 150" != before)
    visitor.wait(lambda: visitor.read("#count") == [str(len(later.runs))])
    over = later.model_copy(
        update={"status": "stopped", "ended_because": "Ctrl+C", "waits": (), "pace": None, "standing": None}
    )
    assert tell(driver, over) == 204
    visitor.wait(lambda: visitor.read("#state") == ["stopped"])
    assert "stopped: Ctrl+C. Resume with: multistage-sweep --resume" in visitor.read("#notice")[0]
    assert not visitor.find("#running article")
    assert visitor.run("return window.untouched")
    assert_quiet(visitor)


@pytest.mark.parametrize("tracked", ["here", "elsewhere"])
def test_a_thousand_runs_are_drawn_at_once_and_brought_up_to_date_in_passing(
    visitor: Browser, driver: Session, wandb_server: ServerProcess, tracked: str
) -> None:
    def make(share: float) -> LiveSummary:
        made = make_live(1000, share, uid=f"large-{tracked}")
        there = {"run_base": "https://wandb.ai/me/p"} if tracked == "elsewhere" else {}
        return made.model_copy(update=there)

    assert tell(driver, make(0.8)) == 204
    url = f"{wandb_server.url}/-/sweeps/large-{tracked}"
    visitor.measure_work()
    for size in (WIDE, PHONE):
        visitor.open("about:blank", size)
        visitor.open(url, size)
        visitor.wait(lambda: visitor.run("return document.documentElement.dataset.drawn"))
        assert visitor.measure_work() < FIRST_PAINT
    visitor.open(url, WIDE)
    visitor.wait(lambda: len(visitor.find("#runs tbody tr[data-run]")) == 50)

    visitor.wait(lambda: visitor.run("return document.documentElement.dataset.drawn"))
    before = visitor.run("return document.documentElement.dataset.drawn")
    told, done = make(0.84), visitor.measure_work(*DRAWING)
    assert tell(driver, told) == 204
    visitor.wait(lambda: visitor.run("return document.documentElement.dataset.drawn") != before)
    assert read_facts(visitor)["runs done"] == f"{told.used} of 1000"
    assert visitor.measure_work(*DRAWING) - done < UPDATE
    if tracked == "elsewhere":
        link = visitor.find("#runs tbody a")[0].get_attribute("href") or ""
        assert link.startswith("https://wandb.ai/me/p/runs/")
    assert_quiet(visitor)


def test_nothing_that_runs_write_becomes_markup(visitor: Browser, driver: Session, wandb_server: ServerProcess) -> None:
    parameters = (FloatParameter(name=EVIL, low=0, high=1), CategoricalParameter(name="act", choices=(EVIL, "b")))
    made = make_live(60, 0.5, parameters=parameters, baseline=False, uid="evil", name=EVIL, config_id=EVIL)
    evil: dict[str, Any] = {"metric": EVIL, "warnings": (EVIL,), "resume": EVIL, "search": EVIL, "launcher": EVIL}
    runs = tuple(
        run.model_copy(update={"error": EVIL, "note": EVIL, "worker": EVIL, "name": EVIL, "run": f"{EVIL}{place}"})
        for place, run in enumerate(made.runs)
    )
    waits = tuple(wait.model_copy(update={"what": EVIL, "why": EVIL}) for wait in made.waits)
    stages = tuple(stage.model_copy(update={"method": EVIL}) for stage in made.stages)
    standing = made.standing and made.standing.model_copy(update={"told": EVIL})
    changes = {**evil, "runs": runs, "waits": waits, "stages": stages, "standing": standing, "links": {EVIL: "/x"}}
    assert tell(driver, made.model_copy(update=changes)) == 204
    for size in (WIDE, PHONE):
        visit(visitor, wandb_server, "evil", size)
        assert visitor.read("h1") == [EVIL]
        assert visitor.read("#verdict") == [EVIL]
        come_to(visitor, "#ranges", ".band")
        come_to(visitor, "#parallel", ".strand")
        assert visitor.find("main img") == []
        assert visitor.run("return document.title").startswith(EVIL[:5])
        assert_quiet(visitor)
    visitor.open(f"{wandb_server.url}/")
    visitor.wait(lambda: EVIL in visitor.read("#sweeps td a"))
    assert visitor.find("main img") == []
    assert_quiet(visitor)


def test_a_sweep_that_has_just_begun_says_so(visitor: Browser, driver: Session, wandb_server: ServerProcess) -> None:
    made = make_live(30, 0, uid="begun")
    nothing = {"runs": (), "leader": None, "standing": None, "pace": None, "defaults": (), "used": 0}
    assert tell(driver, made.model_copy(update=nothing)) == 204
    for size in (WIDE, PHONE):
        visit(visitor, wandb_server, "begun", size)
        assert visitor.read("#best_note") == ["no run has a value yet"]
        assert visitor.read("#values") == ["No run has a value yet."]
        assert visitor.read("#verdict") == ["No run has finished with a value yet."]
        assert len(come_to(visitor, "#ranges", "article")) == len(PARAMETERS)
        assert_quiet(visitor)


def test_a_silent_driver_is_missed(
    visitor: Browser, driver: Session, wandb_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tell(driver, make_live(30, 0.5, uid="silent")) == 204
    visit(visitor, wandb_server, "silent")
    assert visitor.run("return document.querySelector('#notice').hidden")
    # A page whose server's clock is ahead, as after a night.
    ahead = round(1000 * (summaries.SILENT + 120))
    visitor.run(
        """const [ahead, ask] = [arguments[0], window.fetch];
        window.fetch = async (...words) => {
          const answer = await ask(...words);
          const told = await answer.json();
          return new Response(JSON.stringify({...told, now: told.now + ahead}), {status: answer.status});
        };""",
        ahead,
    )
    visitor.wait(lambda: visitor.read("#notice")[0].startswith("Nothing was heard of the process"))
    assert "multistage-sweep --resume /sweeps/night/state.json" in visitor.read("#notice")[0]
    assert_quiet(visitor)
