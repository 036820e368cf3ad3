"""Messages that a sweep sends to its user, by any service that apprise knows (Slack, Telegram, ntfy, mail and so on).

What names the service is a URL that holds a token. So it is never an option itself; the option names where it is kept:

    MULTISTAGE_NOTIFY_NAME    a variable of the environment in which the sweep is driven
    HOME/notify/NAME          a file in this installation's folder, readable by its user alone
    NAME                      a notification block of the Prefect server
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import Any

from multistage.domain.workers.variables import NOTIFY_PREFIX
from multistage.errors import ServiceError, UsageError
from multistage.settings import Settings

Send = Callable[[str, str], None]
"""Takes a subject and a text; raises `ServiceError` where the message was not delivered."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def check_name(name: str, settings: Settings) -> None:
    """Refuse what cannot be the name of a place to notify. What is refused is not repeated: it may hold a token.

    Raises:
        UsageError: It is a URL, or something else that is not a name.
    """
    if _NAME.fullmatch(name):
        return
    raise UsageError(
        "--notify takes a name, and no URL: that holds a token, and command lines are seen and kept."
        if ":" in name
        else "--notify takes a name of letters, digits, hyphens and underscores.",
        f"Put the URL into the variable {NOTIFY_PREFIX}PHONE, or into the file {settings.notify_folder / 'phone'} "
        "with mode 600, and use --notify phone.",
    )


def open_notifier(name: str, settings: Settings) -> Send:
    """Find what sends messages under a name: a variable, a file, or a notification block of the Prefect server.

    Raises:
        UsageError: There is none of the three, others can read the file, or apprise does not know its URL.
    """
    check_name(name, settings)
    url = _read_url(name, settings)
    if url is not None:
        return _open_apprise(name, url)
    block = next(_load_blocks(name), None)
    if block is None:
        raise UsageError(
            f"Nothing is called {name!r} that could notify you.",
            f"Put a URL of apprise's into the variable {_name_variable(name)} or the file "
            f"{settings.notify_folder / name} (mode 600), or give a notification block of Prefect's that name.",
        )

    def send(subject: str, text: str) -> None:
        with block.raise_on_failure():
            block.notify(text, subject)

    return _guard(name, send)


def _name_variable(name: str) -> str:
    return f"{NOTIFY_PREFIX}{name.upper().replace('-', '_')}"


def _read_url(name: str, settings: Settings) -> str | None:
    """Read the URL from the variable, else from the file; None where there is neither."""
    if url := os.environ.get(_name_variable(name), "").strip():
        return url
    path = settings.notify_folder / name
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise UsageError(f"Others can read {path}, which holds a token.", f"chmod 600 {path}")
            return file.read().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Make it a text file of your own.") from error


def _open_apprise(name: str, url: str) -> Send:
    from apprise import Apprise, AppriseAsset

    client = Apprise(asset=AppriseAsset(app_id="multistage-sweep", app_url=""))
    if not client.add(url):
        raise UsageError(
            f"apprise does not know the kind of URL that {name!r} stands for.",
            "https://github.com/caronc/apprise lists those that it knows, such as ntfys://ntfy.sh/TOPIC.",
        )

    def send(subject: str, text: str) -> None:
        if not client.notify(body=text, title=subject):
            raise ServiceError(f"The message to {name!r} was not delivered.", "The service refused it, or is away.")

    return _guard(name, send)


def _guard(name: str, send: Send) -> Send:
    """Have every failure be a `ServiceError` that does not quote what may hold the URL."""

    def guarded(subject: str, text: str) -> None:
        try:
            send(subject, text)
        except ServiceError:
            raise
        except Exception as error:
            raise ServiceError(f"The message to {name!r} was not delivered: {type(error).__name__}.") from None

    return guarded


def _load_blocks(name: str) -> Iterator[Any]:
    """Load the notification blocks of this name, whatever their kind."""
    from prefect.blocks import notifications
    from prefect.blocks.abstract import NotificationBlock

    kinds: list[Any] = list(vars(notifications).values())
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, NotificationBlock) and not kind.__abstractmethods__:
            try:
                yield kind.load(name)
            except ValueError:  # Prefect's word for a block that is not there
                continue
