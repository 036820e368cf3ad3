"""Does the interval that a sweep of real trainings prints hold the mean of fresh runs?

    python benchmarks/fresh_runs.py --seeds 20 --steps 10000 --out fresh_runs.jsonl

What `make sweep` does, in one process: CartPole-v1:ppo over `policy_lr` and `clip_range` in 30 runs, by the searcher
that the flow drives, with the race and what it recommends at the end, each run trained by the bundled trainer. Then the
recommended config is trained on fresh seeds. A line a sweep; what is in the file already is not trained again, and the
last line printed sums up. `--steps` shortens a training (50,000 by default, half a minute of one core).
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calibration_sweeps import Simulation
from scipy.stats import t as student
from search_methods import Multistage

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.search_space import SearchSpace
from multistage.search.base import Proposal
from multistage.training.catalogue import find_trainer
from multistage.training.trainer_settings import check_settings

SWEPT = ("policy_lr", "clip_range")
BUDGET = 30
FRESH = 5


class Rows:
    """Takes a training's rows in place of W&B's client."""

    stopped_by = None

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def log(self, _: int, row: Mapping[str, float]) -> None:
        """Keep the newest of each key."""
        self.last |= row

    def note(self, key: str, value: object) -> None:
        """Nothing is kept beside the rows."""

    @contextmanager
    def time_training(self) -> Iterator[None]:
        """Nothing is timed."""
        yield


class Trainings(Simulation):
    """A sweep whose runs are trained, in the order in which simulated workers would start them."""

    def __init__(self, seed: int, steps: int) -> None:
        super().__init__(BUDGET, seed, workers=4)
        trainer = find_trainer("CartPole-v1:ppo")
        assert trainer is not None
        self._trainer, self._module, self._steps, self._seed = trainer, trainer.load(), steps, seed
        space = SearchSpace(parameters=tuple(trainer.parameters[name] for name in SWEPT))
        self._defaults: Config = {name: trainer.defaults[name] for name in SWEPT}
        self.method = Multistage(space, BUDGET, seed, defaults=self._defaults)

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        """What the product's own search proposes."""
        return self.method.ask(index, done, pending)

    def train(self, index: int, proposal: Proposal) -> Evaluation:
        """One training of the config, on a seed of its own."""
        return Evaluation(
            stage=self.method.find_stage(index),
            index=index,
            config=proposal.config,
            outcome="finished",
            value=self.train_once(proposal.config, self._seed * 1000 + index),
            finalist=index >= self.race_from,
        )

    def train_once(self, config: Config, seed: int) -> float:
        """Train a config; its metric at the end."""
        rows = Rows()
        settings = check_settings(self._trainer.settings, {**config, "seed": seed, "total_steps": self._steps})
        self._module.train(settings, rows)  # type: ignore[arg-type]
        return rows.last[self._trainer.metric]


def sweep(seed: int, steps: int) -> dict[str, Any]:
    """Sweep, and train what is recommended on fresh seeds."""
    trainings = Trainings(seed, steps)
    found = trainings.method.believe(trainings.run(BUDGET))
    fresh = [trainings.train_once(found.config, seed * 1000 + 500 + number) for number in range(FRESH)]
    return {
        "seed": seed,
        "steps": steps,
        "config": found.config,
        "mean": found.mean,
        "interval": found.interval,
        "seeds": found.seeds,
        "fresh": fresh,
    }


def is_held(line: Mapping[str, Any]) -> bool:
    """Whether the interval meets that of the fresh runs' mean, both errors added in squares."""
    fresh = np.array(line["fresh"])
    half = float(student.ppf(0.975, len(fresh) - 1) * fresh.std(ddof=1) / np.sqrt(len(fresh)))
    low, high = line["interval"]
    gap = float(fresh.mean()) - line["mean"]
    return bool(abs(gap) <= np.hypot(high - line["mean"] if gap > 0 else line["mean"] - low, half) + 1e-9)


def main() -> None:
    """Sweep, seed by seed, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    known = {line["seed"] for line in lines}
    for seed in range(options.seeds):
        if seed not in known:
            lines.append(sweep(seed, options.steps))
            with options.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
            low, high = lines[-1]["interval"]
            fresh = ", ".join(f"{value:.0f}" for value in lines[-1]["fresh"])
            print(f"{seed}: {lines[-1]['mean']:.0f} [{low:.0f}, {high:.0f}]; fresh {fresh}", flush=True)
    within = sum(map(is_held, lines))
    strict = sum(line["interval"][0] <= np.mean(line["fresh"]) <= line["interval"][1] for line in lines)
    print(f"the mean of {FRESH} fresh runs, its own error added, within the interval: {within} of {len(lines)}")
    print(f"without its error: {strict}")


if __name__ == "__main__":
    main()
