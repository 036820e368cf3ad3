"""Where this installation keeps its things, read from the environment."""

from pathlib import Path
from typing import Annotated

from platformdirs import user_data_path
from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from multistage.paths import expand_home


class Settings(BaseSettings):
    """Settings of one user on one machine; each is an environment variable ``MULTISTAGE_<NAME>``.

    One that is empty is none, as in a shell.
    """

    model_config = SettingsConfigDict(env_prefix="MULTISTAGE_", env_ignore_empty=True, frozen=True)

    home: Annotated[Path, AfterValidator(expand_home)] = Field(
        default_factory=lambda: user_data_path("multistage-sweep")
    )
    """Folder of the two local services: databases, key, pid files, logs."""

    @property
    def wandb_server_folder(self) -> Path:
        """Data of the embedded W&B server."""
        return self.home.absolute() / "wandb_server"

    @property
    def prefect_folder(self) -> Path:
        """Database, pid file and log of the local Prefect server."""
        return self.home.absolute() / "prefect"

    @property
    def prefect_key(self) -> Path:
        """What opens the local Prefect server."""
        return self.prefect_folder / "key"

    @property
    def notify_folder(self) -> Path:
        """A file for each name that ``--notify`` knows, with the URL that it stands for."""
        return self.home.absolute() / "notify"

    @property
    def prefect_worker_folder(self) -> Path:
        """Pid file and log of the local Prefect worker."""
        return self.home.absolute() / "prefect_worker"
