"""Runs and sweeps that hold what nobody expects: agents go on, lists and best runs too."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server_process import ServerProcess
from tests.wandb_server.protocol_sweeps import beat, make_agent
from tests.wandb_server.server_requests import Session

DEEP = "[" * 190 + "]" * 190
HUGE = "1" + "0" * 400
CONFIGS = [
    '{"lr": 5}',
    '{"lr": null}',
    '{"lr": {"value": {"value": [1]}}}',
    '{"lr": {"value": {}}}',
    '{"lr": [1, {"a": null}], "_wandb": 5}',
    '{"lr": {"value": "NaN"}}',
    '{"": {"value": 1}, "lr.a": {"value": 1}}',
    f'{{"lr": {{"value": {DEEP}}}}}',
    f'{{"lr": {{"value": {HUGE}}}}}',
    "{}",
]
SUMMARIES = [
    '{"loss": null}',
    '{"loss": "NaN"}',
    '{"loss": NaN}',
    '{"loss": true}',
    '{"loss": []}',
    '{"loss": {"min": {}}}',
    f'{{"loss": {DEEP}}}',
    f'{{"loss": {HUGE}}}',
    f'{{"loss": -{HUGE}}}',
    '{"loss": 0.5}',
]
METHODS = {
    "grid": "{lr: {values: [5, null, 1, 2]}}",
    "random": "{lr: {min: 0, max: 0.5}}",
    "bayes": "{lr: {min: 0, max: 0.5}, kind: {values: [a, b]}}",
}
QUANTIZED = {
    "uniform": ("q_uniform, min: 16, max: 512, q: 64", 64, 512),
    "fractions": ("q_uniform, min: 0.15, max: 0.95, q: 0.1", 0.2, 0.9),
    "negative": ("q_uniform, min: -7, max: 7, q: 3", -6, 6),
    "values": ("q_log_uniform_values, min: 3, max: 1000, q: 7", 7, 994),
    "exponents": ("q_log_uniform, min: 0.5, max: 4, q: 3", 3, 54),
    "positive": ("q_log_normal, mu: 0, sigma: 2, q: 5", 5, 1e9),
    "beta": ("q_beta, a: 2, b: 3, q: 0.3", 0, 0.9),
    "normal": ("q_normal, mu: 1, sigma: 1, q: 0.5", -6, 8),
}
"""Quantized distributions, and the first and the last multiple that they can give."""
RUNS = """query Q($p: String, $s: String!, $o: String, $a: String) {project(name: $p) {
  sweep(sweepName: $s) {bestLoss}
  runs(order: $o, after: $a, first: 2) {
    edges {node {name config summaryMetrics wandbConfig historyKeys}} pageInfo {endCursor hasNextPage}
  }
}}"""


@pytest.fixture
def session(wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server) as session:
        yield session


def name_sweep(session: Session, project: str) -> str:
    answer = session.ask("query Q($p: String) {project(name: $p) {sweeps {edges {node {name}}}}}", p=project)
    return str(answer["project"]["sweeps"]["edges"][0]["node"]["name"])


def list_in_order(session: Session, project: str, order: str) -> list[dict[str, Any]]:
    """Every run, page by page."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        runs = session.ask(RUNS, p=project, s=name_sweep(session, project), o=order, a=after)["project"]["runs"]
        found += [edge["node"] for edge in runs["edges"]]
        after = runs["pageInfo"]["endCursor"]
        if not runs["pageInfo"]["hasNextPage"]:
            return found


@pytest.mark.parametrize("method", METHODS)
def test_runs_of_any_content_stop_no_agent_and_no_list(session: Session, method: str) -> None:
    project = f"odd-{method}"
    config = (
        f"method: {method}\nprogram: train.py\nmetric: {{name: loss}}\nparameters: {METHODS[method]}\n"
        "early_terminate: {type: hyperband, min_iter: 1}\n"
    )
    _, agent = make_agent(session, project, config)
    sweep = name_sweep(session, project)
    for number, (odd, summary) in enumerate(zip(CONFIGS, SUMMARIES, strict=True)):
        session.start_run(project, f"r{number}", sweep=sweep, config=odd, summaryMetrics=summary)
        row = {"offset": 0, "content": [summary.replace("NaN", "null")]}
        session.report(project, f"r{number}", files={"wandb-history.jsonl": row}, complete=True, exitcode=0)
    assert [command["type"] for command in beat(session, agent)] == ["run"]
    answer = session.ask(RUNS, p=project, s=sweep)["project"]
    assert answer["sweep"] == {"bestLoss": 0.5}
    for order in ("+summary_metrics.loss", "-summary_metrics.loss", "+config.lr", "-config.lr.value"):
        names = [run["name"] for run in list_in_order(session, project, order)]
        assert len(names) == len(set(names)) == 11
    for path in ("", "/changes", f"/sweeps/{sweep}", f"/sweeps/{sweep}/changes", "/runs/r7", "/runs/r7/changes"):
        assert session.send("GET", f"/local/{project}{path}")[0] == 200, path
    above = session.list_runs(project, {"summary_metrics.loss": {"$gt": 0.1, "$lt": 10}})
    assert [run["name"] for run in above] == ["r9"]


def test_a_preempted_run_of_any_config_is_handed_out_in_the_agents_form(session: Session) -> None:
    _, agent = make_agent(session, "odd-preempted", f"method: grid\nprogram: t.py\nparameters: {METHODS['grid']}\n")
    [command] = beat(session, agent)
    session.start_run("odd-preempted", command["run_id"], config='{"lr": 5, "_wandb": 5}')
    session.report("odd-preempted", command["run_id"], preempting=True, complete=True, exitcode=1)
    [again] = beat(session, agent)
    assert (again["type"], again["args"]) == ("resume", {"lr": {"value": 5}})


def test_a_point_counts_as_tried_whatever_its_script_writes_into_the_config(session: Session) -> None:
    _, agent = make_agent(session, "odd-grid", "method: grid\nprogram: t.py\nparameters: {lr: {values: [1, 2, 3]}}\n")
    runs = [beat(session, agent)[0]["run_id"] for _ in range(3)]
    nodes = {}
    for name in runs:
        nodes[name] = session.start_run("odd-grid", name, config='{"lr": {"value": 7}}')["id"]
        session.report("odd-grid", name, complete=True, exitcode=1)
    session.ask("mutation M($id: ID!) {deleteRun(input: {id: $id}) {clientMutationId}}", id=nodes[runs[1]])
    [command] = beat(session, agent)
    assert command["args"] == {"lr": {"value": 2}}
    assert beat(session, agent) == []


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_quantized_values_stay_within_their_bounds(session: Session, method: str) -> None:
    project = f"quantized-{method}"
    parameters = "\n".join(f"  {name}: {{distribution: {spec}}}" for name, (spec, *_) in QUANTIZED.items())
    config = f"method: {method}\nprogram: t.py\nmetric: {{name: loss}}\nparameters:\n{parameters}\n"
    _, agent = make_agent(session, project, config)
    for _ in range(100 if method == "random" else 20):
        [command] = beat(session, agent)
        for name, (spec, low, high) in QUANTIZED.items():
            value = command["args"][name]["value"]
            step = float(spec.rpartition("q: ")[2])
            assert low - 1e-9 <= value <= high + 1e-9, (name, value)
            assert abs(value / step - round(value / step)) < 1e-6, (name, value)
        session.start_run(project, command["run_id"], config=json.dumps(command["args"]), summaryMetrics='{"loss": 1}')
        session.report(project, command["run_id"], complete=True, exitcode=0)


def test_bayes_tells_true_from_one(session: Session) -> None:
    config = "method: bayes\nprogram: t.py\nmetric: {name: loss}\nparameters: {kind: {values: [1, true, a]}}\n"
    _, agent = make_agent(session, "odd-kinds", config)
    kinds: list[Any] = []
    for _ in range(12):
        [command] = beat(session, agent)
        kinds.append(command["args"]["kind"]["value"])
        summary = json.dumps({"loss": 0 if kinds[-1] is True else 1})
        session.start_run("odd-kinds", command["run_id"], config=json.dumps(command["args"]), summaryMetrics=summary)
        session.report("odd-kinds", command["run_id"], complete=True, exitcode=0)
    assert [kind is True for kind in kinds[-4:]].count(True) >= 3, kinds
