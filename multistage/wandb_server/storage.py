"""The bytes of files: where they lie, and the links through which clients reach them."""

import hashlib
import shutil
from pathlib import Path
from urllib.parse import quote

from multistage.wandb_server.credentials import sign

MAX_FILE_NAME = 1024


class Storage:
    """The folder of uploaded files.

    A file lies under the hash of its name: whatever a client calls it, no path leaves the folder.

    Args:
        folder: Where the files lie.
        key: The API key that signs links.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key

    def locate(self, run_id: int, name: str) -> Path:
        """Where a run's file lies, whether it was uploaded or not."""
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
        return self.folder / "runs" / str(run_id) / digest

    def link(self, base_url: str, method: str, run_id: int, name: str) -> str:
        """A signed link for one method: wandb sends no key with uploads and downloads."""
        path = f"/storage/runs/{run_id}/{name}"
        return f"{base_url}{quote(path)}?signature={sign(self.key, method, path)}"

    def locate_blob(self, project_id: int, digest: str) -> Path:
        """Where an artifact's content lies: under what it is, so that versions share it."""
        name = hashlib.sha256(digest.encode(errors="surrogatepass")).hexdigest()
        return self.folder / "blobs" / str(project_id) / name

    def link_blob(self, base_url: str, method: str, project_id: int, digest: str) -> str:
        """A signed link to an artifact's content."""
        path = f"/storage/blobs/{project_id}/{digest}"
        return f"{base_url}{quote(path)}?signature={sign(self.key, method, path)}"

    def delete_run(self, run_id: int) -> None:
        """Delete every file of a run."""
        shutil.rmtree(self.folder / "runs" / str(run_id), ignore_errors=True)
