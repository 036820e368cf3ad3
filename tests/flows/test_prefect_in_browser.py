"""Prefect's pages of a running, an interrupted, a failed and an ended sweep, in both UIs that it ships."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from multistage.domain.sweep.state import State
from multistage.report.links import link_page
from multistage.services.prefect import find_own_prefect_server
from multistage.store.sweep_folder import SweepFolder
from tests.browser import Browser
from tests.flows.command_line import CommandLine, FinishedSweep, wait_for
from tests.flows.victims import list_trainings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE = 120
"""Seconds that a page may take on a busy machine."""
SCROLL = """
for (const one of document.querySelectorAll("*"))
  if (one.scrollHeight > one.clientHeight + 2 && getComputedStyle(one).overflowY !== "visible")
    one.scrollTop = one.scrollTop + one.clientHeight >= one.scrollHeight - 2 ? 0 : one.scrollTop + one.clientHeight / 2;
"""
"""Moves on in every list: those long ones have only what is in sight."""
VERSIONS = {"v1": "", "v2": "/v2"}
WAITING = """
import time
from pathlib import Path
import wandb
run = wandb.init()
while run.config["x"] != 0.5 and not Path("go").exists():
    time.sleep(0.02)
run.log({"score": run.config["x"]})
run.finish()
"""
Look = Callable[..., str]
"""Takes a UI's version, a sweep's state and the words to wait for, however many."""


@pytest.fixture
def look(commands: CommandLine, browser: Browser) -> Look:
    """Reads the page of a sweep's flow run, through all its lists, until every awaited word was seen."""
    commands.run("up")
    server = find_own_prefect_server(commands.settings)
    assert server is not None
    assert server.secret is not None
    browser.open(server.ui_url)
    (field,) = browser.wait(lambda: browser.find("input[type=password]"), PATIENCE)
    field.send_keys(server.secret, Keys.ENTER)
    browser.wait(lambda: "Logout" in read(browser), PATIENCE)

    def read_page(version: str, state: State, *awaited: str) -> str:
        browser.driver.add_cookie({"name": "prefect_ui_version", "value": version})
        browser.open(f"{server.ui_url}{VERSIONS[version]}/runs/flow-run/{state.flow_run_id}")
        seen: list[str] = []

        def is_there() -> bool:
            seen.append(read(browser))
            browser.run(SCROLL)
            return all(any(words in page for page in seen) for words in awaited)

        browser.wait(is_there, PATIENCE)
        return " ".join(seen)

    return read_page


def read(browser: Browser) -> str:
    """What a page says, its line breaks left out."""
    return " ".join("".join(browser.read("body")).split())


def click(browser: Browser, name: str) -> None:
    """Click on a tab or a link: what bears that name and nothing else, in its innermost element."""
    # With a real click: V2's tabs take no notice of a script's.
    browser.run(
        "return [...document.querySelectorAll('main *, #app *')]"
        ".filter(one => !one.children.length && one.innerText?.trim() === arguments[0]).at(-1)",
        name,
    ).click()


@pytest.mark.parametrize("version", VERSIONS)
def test_an_ended_sweep_has_its_story_and_its_artifacts_with_the_way_to_its_page(
    finished: FinishedSweep, look: Look, browser: Browser, version: str
) -> None:
    state = finished.state
    stages = [f"Stage {number} {words}:" for number in (1, 2, 3) for words in ("of 3", "done")]
    told = look(version, state, "is done: 12 runs. Recommended:", "Best so far:", *stages)
    assert "Completed" in told
    assert "Crash" not in told
    click(browser, "Artifacts")
    for kind in ("plan", "progress", "best", "history", "result"):
        browser.wait(lambda: browser.run(SCROLL) or f"sweep-digits-mlp-{kind}" in read(browser), PATIENCE)  # noqa: B023
    if version == "v2":  # its list has names alone
        click(browser, "multistage-sweep-digits-mlp-result")
    browser.wait(lambda: "The sweep's page" in read(browser), PATIENCE)
    page = link_page(state)
    assert page is not None
    assert "key" not in page


def test_a_sweep_runs_and_is_interrupted(commands: CommandLine, workplace: Path, look: Look) -> None:
    Path("train.py").write_text(WAITING)
    folder = SweepFolder(workplace / "runs" / "watched")
    sweep = ("my:script", "--program", "train.py", "--params", "x:0-1", "--metric", "score", "--name", folder.name)
    with commands.start(*sweep, "--baseline", "x=0.5", "--budget", "10", "--workers", "2") as driver:
        wait_for(lambda: list_trainings(folder) and folder.load_state().budget_used, 2 * PATIENCE)
        for version in VERSIONS:
            told = look(version, folder.load_state(), "Best so far: 0.5")
            assert "Running" in told
            assert "Stage 1 of 3:" in told
        driver.send_signal(signal.SIGINT)
        assert driver.wait(30) == 130
    for version in VERSIONS:
        told = look(version, folder.load_state(), "Resume with: multistage-sweep --resume")
        assert "Cancelled" in told
        assert "Interrupted. Its workers and trainings were ended." in told
        assert "Crash" not in told


def test_a_sweep_fails_in_a_sentence(commands: CommandLine, workplace: Path, look: Look) -> None:
    Path("train.py").write_text("import wandb\nwith wandb.init() as run:\n    run.log({'other': 1})\n")
    folder = SweepFolder(workplace / "runs" / "failing")
    sweep = ("my:script", "--program", "train.py", "--params", "x:0-1", "--metric", "score", "--name", folder.name)
    commands.run(*sweep, "--budget", "10", "--workers", "2", code=1)
    for version in VERSIONS:
        told = look(version, folder.load_state(), "none logged the metric 'score'")
        assert "Failed" in told
        assert "They logged: other." in told
        assert "Traceback" not in told
