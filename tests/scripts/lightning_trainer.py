"""Lightning's Trainer with its WandbLogger, argparse around it."""

import argparse
import warnings

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore", ".*does not have many workers.*")


class Regressor(L.LightningModule):
    def __init__(self, learning_rate=0.1, width=8):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))

    def training_step(self, batch, batch_idx):
        loss = self.measure(batch)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.measure(batch), prog_bar=True)

    def measure(self, batch):
        x, y = batch
        return torch.nn.functional.mse_loss(self.net(x).squeeze(1), y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float, default=0.1)
    parser.add_argument("--width", type=int, default=8)
    args = parser.parse_args()
    L.seed_everything(1)
    torch.set_num_threads(1)
    x = torch.randn(256, 4)
    data = TensorDataset(x, x.sum(1))
    logger = WandbLogger(
        project="theirs", name=f"width-{args.width}", tags=["lightning"], group="regressors", log_model=True
    )
    logger.experiment.config.update(vars(args))
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=logger,
        log_every_n_steps=1,
        callbacks=[ModelCheckpoint(monitor="val/loss"), EarlyStopping("val/loss")],
    )
    trainer.fit(Regressor(args.learning_rate, args.width), DataLoader(data, 64), DataLoader(data, 64))


if __name__ == "__main__":
    main()
