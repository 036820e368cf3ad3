"""What was probably meant by a word that is neither a command nor a config id."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from multistage.errors import MultistageError
from multistage.spelling import find_near, suggest


def suggest_command(given: Sequence[str], commands: Iterable[str]) -> str:
    """Say which command the first word was probably meant to be; empty where it is one, or near none.

    Args:
        given: The command line's words.
        commands: Those that there are.
    """
    commands = [name for name in commands if not name.startswith("-")]
    if not given or given[0].startswith("-") or given[0] in commands:
        return ""
    near = find_near(given[0], commands)
    return f"Did you mean `multistage-sweep {near}`? " if near else ""


def suggest_config(config_id: str) -> str:
    """Say which config id, a bundled trainer's or one of the settings file, was probably meant; empty for none."""
    from multistage.request.sources.precedence import find_settings_file, read_settings_file
    from multistage.training.catalogue import TRAINERS

    try:
        own = read_settings_file(find_settings_file(Path.cwd())).configs
    except MultistageError:  # --settings names another file, which was read
        own = {}
    return suggest(config_id, [*TRAINERS, *own])
