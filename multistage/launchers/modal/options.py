"""What may be asked of containers on Modal."""

from pathlib import Path

from multistage.options.modal import Resources


class ModalOptions(Resources):
    """What bears on this launcher alone: what each container has, and what is in it."""

    runs_per_worker: int | None = None
    """Runs that one container trains; None: as many as there are."""
    project_dir: Path | None = None
    """The user's project, which goes into the image."""
    image_python: str | None = None
    """Python of the image; this process's own by default."""
