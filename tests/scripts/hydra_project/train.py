"""A Hydra project: settings in files, groups, and a working folder of its own for each run."""

import hydra
import wandb
from omegaconf import DictConfig, OmegaConf


@hydra.main(version_base="1.1", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float:
    wandb.config = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    run = wandb.init(
        entity=cfg.wandb.entity,
        project=cfg.wandb.project,
        name=f"{cfg.model.kind}-{cfg.optimizer.lr}",
        config=wandb.config,
    )
    layers = {"small": 1, "large": 2}[cfg.model.kind]
    for epoch in range(cfg.epochs):
        run.log({"val": {"loss": (cfg.optimizer.lr - 0.3) ** 2 + 0.1 / layers - 0.01 * epoch}})
    run.summary["taken"] = repr((cfg.optimizer.lr, cfg.model.kind))
    run.finish()


if __name__ == "__main__":
    main()
