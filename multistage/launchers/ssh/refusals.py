"""What ssh's complaints mean: a host that is away, and may come back, or one that somebody has to see to."""

import re

from multistage.errors import CloudAwayError, LaunchError

CANNOT_LOG_IN = 255
"""ssh's exit code of its own; every other is that of what ran on the host."""
_REFUSED = re.compile(r"Permission denied|Too many authentication failures|No more authentication methods")
_UNKNOWN = re.compile(r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED")
_UNFOUND = re.compile(r"Could not resolve hostname|Bad configuration option|no argument after keyword")


class RefusalError(CloudAwayError):
    """A host lets nobody in, and no waiting helps as long as nobody sees to it."""


def explain_failure(host: str, python: str, code: int, said: str) -> LaunchError:
    """Say why a host did not answer.

    Args:
        host: As ssh takes it.
        python: The one that was to run there.
        code: ssh's exit code.
        said: What ssh, or what it ran, complained of.
    """
    lines = [line.strip().rstrip(".") for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else f"exit code {code}"
    if code not in (CANNOT_LOG_IN, -9):
        return _explain_python(host, python, code, last, said)
    try_it = f"`ssh -o BatchMode=yes {host} true` must do without a question"
    if _REFUSED.search(said):
        found = next(line for line in lines if _REFUSED.search(line))
        return RefusalError(f"The host {host} refuses the key: {found}.", f"{try_it}: `ssh-copy-id {host}`.")
    if _UNKNOWN.search(said):
        return RefusalError(f"The host {host} is not known: {last}.", f"{try_it}: log in once by hand.")
    if _UNFOUND.search(said):
        return RefusalError(f"ssh does not find the host {host}: {last}.", f"{try_it}.")
    return CloudAwayError(f"The host {host} does not answer: {last}.", f"{try_it}.")


def _explain_python(host: str, python: str, code: int, last: str, said: str) -> LaunchError:
    if "No module named" in said:
        return LaunchError(
            f"On the host {host}, {python} has not what a worker needs: {last.rpartition(': ')[2]}.",
            "docs/ssh.md has the two lines that install it; --ssh-worker-python names another Python.",
        )
    if code in (126, 127):
        return LaunchError(f"The host {host} has no Python at {python}.", "Name it as --ssh-worker-python.")
    return LaunchError(f"On the host {host} {python} failed: {last}.", "docs/ssh.md says what a host needs.")
