"""What a user's shell, W&B's settings files and a ``.env`` would do to a sweep's runs, said before the first.

Runs take their server, key, project and mode from the environment that workers give them, which goes before W&B's
settings files and before a ``.env``, unless a script loads that one with ``override=True``. The rest is looked at here.
"""

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from multistage.domain.model import Model
from multistage.domain.sweep.account import Account
from multistage.domain.sweep.plan import SweepSettings
from multistage.domain.workers.variables import (
    CLIENT_PROXY_VARIABLES,
    OFFLINE_MODES,
    SINGLE_RUN_VARIABLES,
    is_loopback,
    list_strays,
)
from multistage.errors import UsageError

SAAS = "https://api.wandb.ai"
HELD_VARIABLES = ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_RUN_ID")
"""Set for every training, so that a file cannot."""
FATAL_KEYS = ("fork_from", "identity_token_file", "resume", "resume_from")
"""Keys of W&B's settings files with which no fresh run begins; no variable takes them back."""
PROXY_KEYS = ("http_proxy", "https_proxy")
_READS_DOTENV = re.compile(r"\bdotenv\b")
_BRINGS_KEY = re.compile(
    r"""^[^#\n]*(?:\bwandb\.login\s*\(\s*(?:[^)#]*\bkey\s*=\s*)?["']|["']WANDB_API_KEY["']\s*\]\s*=(?!=))""",
    re.MULTILINE,
)
_OVERRIDES = re.compile(r"\bload_dotenv\s*\([^)]*\boverride\s*=\s*True")


class FileSetting(Model):
    """A setting of one of W&B's settings files."""

    value: str
    path: Path


def read_settings_files(directory: Path) -> dict[str, FileSetting]:
    """Read W&B's settings files as its client does in a folder: the user's own, then the folder's, which wins.

    One that cannot be read counts for nothing, as with the client, which says so.

    Args:
        directory: Where trainings run.
    """
    home = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
    own = ".wandb" if (directory / ".wandb").exists() else "wandb"
    found: dict[str, FileSetting] = {}
    for path in (home / "settings", directory / own / "settings"):
        parser = configparser.ConfigParser()
        try:
            parser.read(path)
            items = parser.items("default") if parser.has_section("default") else []
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        found |= {key: FileSetting(value=value, path=path) for key, value in items}
    return found


def find_base_url(directory: Path) -> str:
    """Find the server that the client would talk to: the environment's, the settings files', W&B's own.

    Raises:
        UsageError: It is no address.
    """
    told = read_settings_files(directory).get("base_url")
    variable = os.environ.get("WANDB_BASE_URL")
    url = variable or (told.value if told else SAAS)
    if not _is_address(url):
        where = "WANDB_BASE_URL" if variable or told is None else f"base_url in {told.path}"
        correct = "https://wandb.example.com" if "/" in url or not _is_address(f"https://{url}") else f"https://{url}"
        raise UsageError(
            f"{where} is {url!r}, which is no address.", f"Write {correct}; --tracker embedded needs no account."
        )
    return url.rstrip("/")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def find_offline_reason(directory: Path, environment: Mapping[str, str]) -> str | None:
    """Say in words what keeps W&B's client from its server, such as ``WANDB_MODE=offline``; None for nothing."""
    mode = environment.get("WANDB_MODE")
    if mode is not None:
        return f"WANDB_MODE={mode}" if mode in OFFLINE_MODES else None
    told = read_settings_files(directory).get("mode")
    return f"mode = {told.value} in {told.path}" if told and told.value in OFFLINE_MODES else None


def review_training(
    settings: SweepSettings, directory: Path, account: Account, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Say what a sweep's trainings, which see this machine's files, do not get of the user's surroundings.

    Args:
        settings: The sweep.
        directory: Where trainings run.
        account: The W&B server.
        environment: As for `review_surroundings`.

    Raises:
        UsageError: As there.
    """
    server = account.base_url if account.kind == "wandb" else None
    return review_surroundings(directory, Path(settings.program) if settings.program else None, server, environment)


def review_surroundings(
    directory: Path, program: Path | None, server: str | None, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Say what of the user's surroundings trainings on this machine do not get, a sentence each.

    Args:
        directory: Where trainings run.
        program: The user's script.
        server: The W&B server's address; None for the embedded one.
        environment: This process's variables, before any was taken out.

    Raises:
        UsageError: Runs would not reach their sweep, and nothing here can change that.
    """
    files = read_settings_files(directory)
    _refuse_files(files, server is None or is_loopback(server))
    offline = find_offline_reason(directory, environment)
    strays = list_strays(environment, server)
    return (
        *([f"{offline} is overridden for trainings: a sweep's runs must reach its server."] if offline else []),
        *(
            [f"Trainings do not get {', '.join(strays)} of your environment: they would break a sweep."]
            if strays
            else []
        ),
        *_warn_of_base_url(files, server),
        *_warn_of_key(program, server),
        *_review_dotenv(directory, program),
    )


def _refuse_files(files: Mapping[str, FileSetting], is_local: bool) -> None:
    for key in (*FATAL_KEYS, *(PROXY_KEYS if is_local else ())):
        if key in files:
            raise UsageError(
                f"{files[key].path} sets {key}, which keeps W&B's client from starting any run of this sweep.",
                "Remove that line; a proxy can stand in the environment's https_proxy."
                if key in PROXY_KEYS
                else "Remove that line.",
            )


def _warn_of_base_url(files: Mapping[str, FileSetting], server: str | None) -> Iterator[str]:
    told = files.get("base_url")
    if told is not None and told.value.rstrip("/") != server:
        yield f"The base_url in {told.path} is overridden for trainings: their server is the sweep's own."


def _warn_of_key(program: Path | None, server: str | None) -> Iterator[str]:
    if server is None and program is not None and _BRINGS_KEY.search(_read(program)):
        yield (
            f"{program} brings a W&B key of its own, which the embedded server refuses: take it out. A sweep gives its "
            "runs the key by the environment."
        )


def _read(program: Path) -> str:
    """Read a script; empty where the program is a module's name, or a folder."""
    return program.read_text(encoding="utf-8", errors="replace") if program.is_file() else ""


def find_dotenv(directory: Path, program: Path | None) -> Path | None:
    """Find the ``.env`` that a script would load: beside it or above, as python-dotenv looks, or in the folder."""
    start = program.parent if program else directory
    return next((place / ".env" for place in (start, *start.parents, directory) if (place / ".env").is_file()), None)


def _review_dotenv(directory: Path, program: Path | None) -> Iterator[str]:
    path = find_dotenv(directory, program)
    if path is None:
        return
    names = dotenv_values(path, interpolate=False, encoding="utf-8").keys()
    code = _read(program) if program else ""
    held = sorted(names & set(HELD_VARIABLES))
    loose = sorted(names & {*SINGLE_RUN_VARIABLES, *CLIENT_PROXY_VARIABLES})
    if held and _OVERRIDES.search(code):
        raise UsageError(
            f"{program} loads {path} with override=True, and {held[0]} in it would take its runs from the sweep.",
            "Take the override out of the script, or that line out of the file.",
        )
    if loose and _READS_DOTENV.search(code):
        raise UsageError(
            f"{program} loads {path}, which sets {loose[0]}: meant for one run, it would break those of a sweep.",
            "Remove that line from the file.",
        )
    telling = [name for name in held if name != "WANDB_API_KEY"]
    if telling:
        yield f"{path} sets {', '.join(telling)}, which trainings keep as the sweep has it, unless they override it."
