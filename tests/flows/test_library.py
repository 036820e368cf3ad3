"""A sweep of a function from a program, interrupted on its way."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import multistage
from tests.flows.command_line import CommandLine


def train(config: Mapping[str, Any]) -> float:
    assert config["n"] in (1, 2, 3)
    return -float((config["x"] - 0.3) ** 2)


@pytest.mark.slow
def test_a_function_is_swept_interrupted_and_resumed(
    commands: CommandLine, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in commands.environment.items():
        monkeypatch.setenv(name, value)
    told: list[str] = []

    def interrupt(line: str) -> None:
        told.append(line)
        if line.startswith("Stage 1 done"):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("builtins.print", interrupt)
    with pytest.raises(KeyboardInterrupt):
        multistage.sweep(train, {"x": (0.0, 1.0), "n": [1, 2, 3]}, budget=10, name="function", goal="maximize")
    assert any(line.startswith("Interrupted;") for line in told)
    before = multistage.load("function")
    assert before.status == "stopped"
    trained = {row.run_id for row in before.rows if row.state == "finished"}
    assert len(trained) >= 3

    result = multistage.resume("function", quiet=True)
    assert result.status == "completed"
    assert [row.state for row in result.rows] == ["finished"] * 10
    assert trained <= {row.run_id for row in result.rows}
    assert result.best is not None
    assert result.best.value == max(row.value for row in result.rows if row.value is not None)
    assert result.recommended is not None
    assert set(result.recommended.config) == {"x", "n"}
    frame = result.runs
    assert frame["value"].tolist() == pytest.approx(-((frame["config.x"] - 0.3) ** 2))
    assert "MULTI-STAGE SWEEP COMPLETE!" in repr(result)

    exported = workplace / "runs.csv"
    commands.run("runs", "function", "--format", "csv", "--output", str(exported))
    assert exported.read_text().startswith("stage,slot,run_id,state,value,config.n,config.x,")
    assert "s3-0001" in commands.run("runs", "function").stdout
    assert "--output" in commands.run("runs", "function", "--format", "parquet", code=2).stderr
    commands.run("runs", "function", "--format", "parquet", "--output", str(workplace / "runs.parquet"))
    assert (workplace / "runs.parquet").read_bytes().startswith(b"PAR1")
