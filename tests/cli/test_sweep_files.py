"""A bad sweep file: the command line and the server on this machine say the same sentence."""

from pathlib import Path

import pytest

from multistage.cli import main
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

MAKE = 'mutation M($c: String) {upsertSweep(input: {projectName: "bad", config: $c}) {sweep {id}}}'
METHOD = "method: random\nprogram: train.py\nparameters:\n"

BAD = {
    "not valid YAML": "method: [random\nparameters: }",
    "no mapping": "- random",
    "no method": "parameters: {x: {min: 0.1, max: 1.0}}",
    "unknown method": "method: annealing\nparameters: {x: {min: 0.1, max: 1.0}}",
    "no parameters": "method: random",
    "one bound": METHOD + "  x: {min: 1.0}",
    "a distribution without a bound": METHOD + "  x: {distribution: uniform, max: 1.0}",
    "mixed bounds": METHOD + "  x: {min: true, max: 2.5}",
    "swapped bounds": METHOD + "  x: {min: 2.0, max: 1.0}",
    "a text for a number": METHOD + "  x: {distribution: uniform, min: 1e-3x, max: 1.0}",
    "an unknown distribution": METHOD + "  x: {distribution: zipf, min: 1, max: 2}",
    "a log scale from zero": METHOD + "  x: {distribution: log_uniform_values, min: 0, max: 1}",
    "exponents beyond all numbers": METHOD + "  x: {distribution: log_uniform, min: 0, max: 1000}",
    "a bell without width": METHOD + "  x: {distribution: normal, mu: 0, sigma: 0}",
    "no step": METHOD + "  x: {distribution: q_uniform, min: 0, max: 1, q: 0}",
    "not a multiple of the step": METHOD + "  x: {distribution: q_uniform, min: 10, max: 50, q: 64}",
    "no choices": METHOD + "  x: {values: []}",
    "odd probabilities": METHOD + "  x: {values: [1, 2], probabilities: [0.5, 0.4]}",
    "a bare value": METHOD + "  x: 3",
    "an empty section": METHOD + "  a: {parameters: {}}",
    "infinity": METHOD + "  x: {min: 0.1, max: .inf}",
    "a continuous grid": "method: grid\nparameters: {x: {min: 0.1, max: 1.0}}",
    "bayes without a metric": "method: bayes\nparameters: {x: {min: 0.1, max: 1.0}}",
    "a metric without a name": METHOD + "  x: {values: [1, 2]}\nmetric: score",
    "an unknown goal": METHOD + "  x: {values: [1, 2]}\nmetric: {name: score, goal: up}",
    "a run_cap of none": METHOD + "  x: {values: [1, 2]}\nrun_cap: 0",
    "another early_terminate": METHOD + "  x: {values: [1, 2]}\nearly_terminate: {type: median}",
    "hyperband without a metric": METHOD + "  x: {values: [1, 2]}\nearly_terminate: {type: hyperband, min_iter: 3}",
    "a value that is nested beyond all use": METHOD + f"  x: {{value: {'[' * 600}{']' * 600}}}",
    "hyperband without a band": METHOD
    + "  x: {values: [1, 2]}\nmetric: {name: score}\nearly_terminate: {type: hyperband}",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_in_the_servers_words(
    text: str, wandb_server: ServerProcess, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = workplace / "sweep.yaml"
    file.write_text(text)
    with Session(wandb_server) as session:
        _, answer = session.try_to_ask(MAKE, c=text)
    (error,) = answer["errors"]
    for command in ("run", "plan"):
        with pytest.raises(SystemExit) as ended:
            main((command, "--sweep-file", str(file), "--budget", "20"))
        assert ended.value.code == 2
        assert capsys.readouterr().err == f"multistage-sweep: {error['message']}\n"
    assert list(workplace.iterdir()) == [file]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(
    content: bytes | None, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (workplace / "sweep.yaml").write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(("run", "--sweep-file", "sweep.yaml"))
    assert ended.value.code == 2
    assert "sweep.yaml cannot be read" in capsys.readouterr().err
