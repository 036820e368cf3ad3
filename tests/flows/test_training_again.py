"""What is trained beside a sweep's budget: the recommended config again, and one run before the sweep."""

import json
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import FAST, CommandLine

SCRIPT = """
import wandb
with wandb.init() as run:
    for step in range(3):
        run.log({"score": -(run.config["x"] - 0.3) ** 2 + 1e-6 * run.config["seed"]})
"""


@pytest.mark.slow
def test_the_recommended_config_is_trained_again_with_new_seeds(commands: CommandLine, workplace: Path) -> None:
    Path("train.py").write_text(SCRIPT)
    Path("multistage.toml").write_text(
        '[configs."my:script"]\nprogram = "train.py"\nmetric = "score"\nranges.x = "0-1"\nparams = "x"\n'
        'baseline = { x = 0.9 }\nseed_param = "seed"\nbudget = 10\nworkers = 2\n'
    )
    canary = commands.run("plan", "my:script", "--canary")
    assert "Canary: score -0.36" in canary.stdout
    assert "3 rows of score" in canary.stdout
    assert "as the canary did" in canary.stdout
    assert not Path("runs").exists()

    commands.run("my:script")
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_my_script")
    state = folder.load_state()
    assert state.recommended is not None
    done = commands.run("train", folder.name, "--seed", "7", "--runs", "2", "--json")
    result = json.loads(done.stdout)
    assert result["config"] == state.recommended.config
    assert result["seeds"] == [7, 8]
    x = result["config"]["x"]
    assert [run["value"] for run in result["runs"]] == pytest.approx(
        [-((x - 0.3) ** 2) + 1e-6 * seed for seed in (7, 8)]
    )
    assert "95%" in done.stderr
    again = json.loads(commands.run("train", folder.name, "--seed", "7", "--runs", "2", "--json").stdout)
    assert again["runs"] == result["runs"], "what is done is found, not trained again"
    compared = json.loads(commands.run("compare", folder.name, "--seeds", "3", "--json").stdout)
    methods = {one["method"]: one for one in compared["results"]}
    assert list(methods) == ["random", "bayes", "multi-stage"]
    for method in methods.values():
        assert method["runs"] == 10
        x, values = method["config"]["x"], method["values"]
        assert values == pytest.approx([-((x - 0.3) ** 2) + 1e-6 * seed for seed in compared["seeds"]])
        assert method["mean"]["interval"][0] <= method["mean"]["mean"] <= method["mean"]["interval"][1]
    staged, bayes = methods["multi-stage"], methods["bayes"]
    assert staged["config"] == state.recommended.config
    assert bayes["gain"]["mean"] == pytest.approx(staged["mean"]["mean"] - bayes["mean"]["mean"])
    with commands.open_tracker() as api:
        for method in ("random", "bayes"):
            runs = list(api.runs("local/my", filters={"sweep": methods[method]["url"].rpartition("/")[2]}, lazy=False))
            assert len(runs) == 10
            assert len({run.config["seed"] for run in runs}) == 10
            assert max(run.summary["score"] for run in runs) == methods[method]["best"]
    again = json.loads(commands.run("compare", folder.name, "--seeds", "3", "--json", timeout=60).stdout)
    assert again == compared == json.loads((folder.path / "comparison.json").read_text())
    after = folder.load_state()
    assert (after.budget_used, after.status) == (state.budget_used, "completed")


@pytest.mark.slow
def test_a_canary_that_does_not_log_the_metric_says_what_it_logs(commands: CommandLine, workplace: Path) -> None:
    refused = commands.run("plan", "digits:mlp", "--params", "alpha", "--metric", "val/acc", "--canary", *FAST, code=1)
    assert "none logged the metric 'val/acc'" in refused.stderr
    assert "val/accuracy" in refused.stderr
