"""A sweep whose every word is markup, in a browser: on the server's pages, in the report, in Prefect's two UIs."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from selenium.webdriver.common.keys import Keys

from multistage.services.embedded import find_wandb_server
from multistage.services.prefect import find_own_prefect_server
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_server.pages.login_links import make_login_link
from tests.browser import Browser
from tests.flows.command_line import CommandLine, check_budget

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE = 120
EVIL = (
    "<img src=x onerror=\"window.hit='img'\"><script>window.hit='script'</script>"
    "[a](javascript:hit=1)![b](x)`'\"]]></script>|"
)
SCRIPT = f"""
import sys
import wandb
EVIL = {EVIL!r}
words = {{"name": EVIL, "notes": EVIL, "tags": [EVIL[:60]], "group": EVIL, "job_type": EVIL}}
run = wandb.init(**words, config={{EVIL: EVIL, "d": {{EVIL: [EVIL]}}}})
for step in range(3):
    run.log({{EVIL: run.config["x"] + step, f"{{EVIL}}/other": step, "text": EVIL, "table": wandb.Html(EVIL),
             "rows": wandb.Table(columns=[EVIL], data=[[EVIL]])}})
run.summary[f"sum {{EVIL}}"] = EVIL
print(EVIL, flush=True)
if run.config["x"] > 0.7:
    raise RuntimeError(EVIL)
run.finish()
"""
FILE: dict[str, Any] = {
    "method": "random",
    "description": EVIL,
    "metric": {"name": EVIL, "goal": "maximize"},
    "program": "train.py",
    "parameters": {"x": {"min": 0.0, "max": 1.0}, "act": {"values": [EVIL, "b"]}},
}
TABS = ("Logs", "Task Runs", "Subflow Runs", "Artifacts", "Details", "Parameters")
SAID = "return window.hit || [...document.querySelectorAll('img')].some(one => one.getAttribute('src') === 'x')"


@pytest.fixture
def swept(commands: CommandLine, workplace: Path) -> SweepFolder:
    (workplace / "train.py").write_text(SCRIPT)
    (workplace / "evil.yaml").write_text(yaml.safe_dump(FILE))
    words = ("run", "evil:<b>", "--sweep-file", "evil.yaml", "--budget", "10", "--workers", "2", "--name", "evil")
    done = commands.run(*words, timeout=400)
    assert "Traceback" not in done.stdout + done.stderr
    folder = SweepFolder(workplace / "runs" / "evil")
    assert {run.state for run in check_budget(commands, folder, lost=0)} == {"finished", "failed"}
    commands.run("report", "evil")
    return folder


@pytest.fixture
def visitor(commands: CommandLine, swept: SweepFolder, browser: Browser) -> Browser:
    """A browser that is logged in everywhere."""
    server, prefect = find_wandb_server(commands.settings), find_own_prefect_server(commands.settings)
    assert server is not None
    assert prefect is not None
    assert prefect.secret is not None
    key = (commands.settings.wandb_server_folder / "key").read_text().strip()
    browser.open(make_login_link(server.url, key))
    browser.open(prefect.ui_url)
    (field,) = browser.wait(lambda: browser.find("input[type=password]"), PATIENCE)
    field.send_keys(prefect.secret, Keys.ENTER)
    browser.wait(lambda: "Logout" in "".join(browser.read("body")), PATIENCE)
    return browser


def check(browser: Browser, url: str, awaited: str = "onerror") -> None:
    """Open a page, wait until it shows the words as words, and check that nothing of them has become markup."""
    browser.open(url)
    browser.wait(lambda: awaited in " ".join(browser.read("body")), PATIENCE)
    assert not browser.run(SAID), url


def test_no_page_takes_it_for_markup(commands: CommandLine, swept: SweepFolder, visitor: Browser) -> None:
    server, state = find_wandb_server(commands.settings), swept.load_state()
    assert server is not None
    base = f"{server.url}/{state.entity}/{state.project}"
    check(visitor, (swept.path / "report.html").as_uri())
    check(visitor, f"{server.url}/-/sweeps/{state.uid}")
    check(visitor, server.url, state.name)
    check(visitor, base)
    for sweep_id, runs in commands.list_runs(swept).items():
        check(visitor, f"{base}/sweeps/{sweep_id}")
        check(visitor, f"{base}/runs/{runs[0].run_id}")
    failed = next(run for runs in commands.list_runs(swept).values() for run in runs if run.state == "failed")
    check(visitor, f"{base}/runs/{failed.run_id}", "RuntimeError")


@pytest.mark.parametrize("version", ["", "/v2"])
def test_nor_does_prefect(commands: CommandLine, swept: SweepFolder, visitor: Browser, version: str) -> None:
    prefect, state = find_own_prefect_server(commands.settings), swept.load_state()
    assert prefect is not None
    visitor.driver.add_cookie({"name": "prefect_ui_version", "value": "v2" if version else "v1"})
    place = f"{prefect.ui_url}{version}"
    with commands.open_prefect() as client:
        keys = [one.key for one in client.read_artifacts() if one.key and "evil" in one.key]
    assert keys
    for run in (state.flow_run_id, *(run.id for run in commands.list_stage_runs(state.flow_run_id))):
        check(visitor, f"{place}/runs/flow-run/{run}", "Logs")
        for tab in TABS:
            visitor.run(
                "[...document.querySelectorAll('main *, #app *')].filter(one => !one.children.length"
                " && one.innerText?.trim() === arguments[0]).at(-1)?.click()",
                tab,
            )
            assert not visitor.run(SAID), tab
    for key in dict.fromkeys(keys):
        check(visitor, f"{place}/artifacts/key/{key}", key)
