"""Several processes that write into one run, as those of a training on several GPUs do."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

PROCESS = """
import sys, wandb
rank = sys.argv[1]
settings = wandb.Settings(mode="shared", x_primary=rank == "0", x_label=f"rank{rank}", x_update_finish_state=False)
with wandb.init(project="shared", id="whole", settings=settings) as run:
    for step in range(4):
        run.log({f"loss_{rank}": step})
    run.summary[f"sum_{rank}"] = 1
"""


def report(session: Session, client: str, offset: int, *rows: dict[str, Any], summary: Any = None) -> None:
    """Report rows of a client that shares the run."""
    files = {"wandb-history.jsonl": {"offset": offset, "content": [json.dumps(row) for row in rows]}}
    if summary is not None:
        files["wandb-summary.json"] = {"offset": 0, "content": [json.dumps(summary)]}
    headers = {**session.key_header, "X-WANDB-USE-ASYNC-FILESTREAM": "true", "X-WANDB-ASYNC-CLIENT-ID": client}
    body = json.dumps({"files": files}).encode()
    assert session.send("POST", "/files/local/shared/run/file_stream", body, headers)[0] == 200


def read_run(session: Session, run: str) -> tuple[dict[str, Any], int]:
    """A run's summary, and how many rows it has."""
    found = session.ask(f'{{project(name: "shared") {{run(name: "{run}") {{summaryMetrics historyLineCount}}}}}}')
    return json.loads(found["project"]["run"]["summaryMetrics"]), found["project"]["run"]["historyLineCount"]


def test_each_client_s_rows_are_kept_once_whatever_is_repeated(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        with Session(server) as session:
            session.start_run("shared", "run")
            report(session, "a", 0, {"_step": 0, "a": 0}, summary={"a": 0, "both": 1})
            report(session, "b", 0, {"_step": 0, "b": 0}, {"_step": 1, "b": 1}, summary={"b": 1, "both": 2})
            report(session, "a", 1, {"_step": 1, "a": 1})
        server.kill()
        server.start()
        with Session(server) as session:
            report(session, "b", 0, {"_step": 0, "b": 0}, {"_step": 1, "b": 1}, {"_step": 2, "b": 2})
            report(session, "a", 0, {"_step": 0, "a": 0}, {"_step": 1, "a": 1})
            report(session, "c", 0, {"_step": 0, "c": 0})
            rows = session.read_history("shared", "run")
            assert [(key, row[key]) for row in rows for key in row if key != "_step"] == [
                *(("a", 0), ("b", 0), ("b", 1), ("a", 1), ("b", 2), ("c", 0))
            ]
            assert read_run(session, "run") == ({"a": 0, "b": 1, "both": 2}, 6)


def test_real_clients_share_a_run(wandb_server: ServerProcess, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(rank)],
            env={**os.environ, **wandb_server.environment},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for rank in range(2)
    ]
    try:
        assert [process.wait(60) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    with Session(wandb_server) as session:
        rows = session.read_history("shared", "whole")
        for rank in range(2):
            assert [row[f"loss_{rank}"] for row in rows if f"loss_{rank}" in row] == list(range(4))
        summary, count = read_run(session, "whole")
    assert count == 8
    assert {key: summary[key] for key in ("loss_0", "loss_1", "sum_0", "sum_1")} == {
        "loss_0": 3,
        "loss_1": 3,
        "sum_0": 1,
        "sum_1": 1,
    }
