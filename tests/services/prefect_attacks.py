"""What somebody without the secret tries on a Prefect server, from a page of another origin or a process."""

import functools
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from prefect import flow
from prefect.states import Completed

from multistage.domain.workers.variables import PREFECT_SERVER_AUTH
from multistage.services import PrefectServer
from multistage.services.prefect import build_environment, build_prefect_service, name_api
from multistage.services.prefect_client import open_prefect_client
from multistage.services.prefect_worker import WORK_POOL
from multistage.settings import Settings
from tests.browser import Browser

Send = Callable[[str, str, object], Any]
"""Takes a method, a path of the API and a body; returns the answer, None where it is refused or cannot be read."""

BUSY = 503
"""What Prefect answers while its database is locked; its own client asks again, and so does who attacks it."""
FETCH = """
const [url, method, body, busy, done] = arguments;
async function send(again) {
  const answer = await fetch(url, {method, body, headers: {"Content-Type": "application/json"}});
  if (answer.status !== busy || !again) return answer;
  await new Promise(resolve => setTimeout(resolve, 500));
  return send(again - 1);
}
send(60)
  .then(async answer => done(answer.ok ? [answer.status === 204 ? true : await answer.json()] : null))
  .catch(() => done(null));
"""
REQUEST = """
import sys, time, urllib.error, urllib.request
method, url, body, busy = sys.argv[1:]
request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"}, method=method)
for again in reversed(range(60)):
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            print(answer.read().decode() or "true")
    except urllib.error.HTTPError as error:
        if again and error.code == int(busy):
            time.sleep(0.5)
            continue
        print("null")
    break
"""
STRANGER = 65534
"""The user nobody."""


class Stranger(NamedTuple):
    """Another user with a Python that they may run; this one where nobody else can be had."""

    user: int | None
    python: str


@functools.cache
def find_stranger() -> Stranger:
    """Become nobody, as root can; this Python may lie in a folder that nobody else may enter."""
    own = os.path.realpath(sys.executable)
    for python in (own, "/usr/bin/python3"):
        with suppress(OSError):
            subprocess.run([python, "-I", "-c", ""], user=STRANGER, check=True, timeout=60)
            return Stranger(STRANGER, python)
    return Stranger(None, own)


def run_as_stranger(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with nothing of this process's environment; as another user where this one may do so."""
    user, python = find_stranger()
    command = [python, "-I", "-c", code, *arguments]
    return subprocess.run(command, env={}, user=user, cwd="/", capture_output=True, text=True, timeout=90, check=False)


def send_from_process(api_url: str) -> Send:
    """Have another user's process ask the server."""

    def send(method: str, path: str, body: object) -> Any:
        done = run_as_stranger(REQUEST, method, f"{api_url}{path}", json.dumps(body), str(BUSY))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return send


def send_from_page(browser: Browser, api_url: str) -> Send:
    """Have the page that a browser shows ask the server."""

    def send(method: str, path: str, body: object) -> Any:
        found = browser.driver.execute_async_script(FETCH, f"{api_url}{path}", method, json.dumps(body), BUSY)
        return found[0] if found else None

    return send


@flow
def victim() -> None:
    """A flow whose runs are attacked."""


class Attacks:
    """Three attacks on a server, and what became of it.

    Args:
        server: The server, as its owner reaches it.
        send: The attacker.
    """

    def __init__(self, server: PrefectServer, send: Send) -> None:
        self._server = server
        self._send = send

    def make_run(self, name: str) -> str:
        """Make what is attacked: a flow run of the owner's; returns its id."""
        with open_prefect_client(self._server) as client:
            return str(client.create_flow_run(victim, name=name, state=Completed()).id)

    def read_run(self) -> bool:
        """Read the flow runs; tells whether the owner's was among them."""
        self.make_run("private")
        return "private" in {run["name"] for run in self._send("POST", "/flow_runs/filter", {}) or ()}

    def delete_run(self) -> bool:
        """Delete a flow run; tells whether it is gone."""
        run = self.make_run("dear")
        self._send("DELETE", f"/flow_runs/{run}", None)
        with open_prefect_client(self._server) as client:
            return run not in {str(left.id) for left in client.read_flow_runs()}

    def run_shell(self, marker: Path) -> bool:
        """Make a deployment whose pull step runs a shell command, and run it; tells whether the server took it."""
        with open_prefect_client(self._server) as client:
            known = client.create_flow(victim)
            name = f"harmless {secrets.token_hex(4)}"
            made = self._send("POST", "/flows/", {"name": name})
            deployment = self._send(
                "POST",
                "/deployments/",
                {
                    "name": name,
                    "flow_id": made["id"] if made else str(known),
                    "entrypoint": "harmless.py:harmless",
                    "work_pool_name": WORK_POOL,
                    "pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": f"touch {marker}"}}],
                },
            )
            if deployment is not None:
                self._send("POST", f"/deployments/{deployment['id']}/create_flow_run", {})
            return name in {found.name for found in client.read_deployments()}


def start_open_server(settings: Settings) -> PrefectServer:
    """Start a Prefect server as an older release did: without a secret, for every origin."""

    def build(port: int) -> dict[str, str]:
        made = build_environment(settings.prefect_folder, port, "", os.environ)
        del made[PREFECT_SERVER_AUTH], made["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]
        return made

    record = replace(build_prefect_service(settings), build_environment=build).ensure().record
    api_url = name_api(record.port)
    return PrefectServer(api_url=api_url, ui_url=api_url.removesuffix("/api"), pid=record.pid, started=True)
