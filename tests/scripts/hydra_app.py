"""A Hydra application with nested settings."""

import time
from dataclasses import dataclass, field

import hydra
import wandb
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf


@dataclass
class Optimizer:
    learning_rate: float = 0.1
    use_amp: bool = True


@dataclass
class Settings:
    n_steps: int = 9
    optimizer: Optimizer = field(default_factory=Optimizer)


ConfigStore.instance().store(name="settings", node=Settings)


@hydra.main(version_base=None, config_name="settings")
def main(cfg):
    config = OmegaConf.to_container(cfg)
    run = wandb.init(project="theirs", name=f"theirs__{int(time.time())}", tags=["theirs"], group="g", config=config)
    for step in range(3):
        run.log({"score": -((cfg.optimizer.learning_rate - 0.3) ** 2) + 0.01 * step, "step": step})
    run.summary["taken"] = repr((cfg.optimizer.learning_rate, cfg.optimizer.use_amp, cfg.n_steps))
    run.finish()


if __name__ == "__main__":
    main()
