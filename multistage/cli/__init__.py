"""The command line.

What an import within a function of this package spares is the start of the other commands, and nothing else: ``--help``
is quick.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from cyclopts import App, CoercionError, CycloptsError

from multistage.cli.approving import approve
from multistage.cli.deploying import deploy
from multistage.cli.examining import doctor
from multistage.cli.flags import explain_flag
from multistage.cli.init import init
from multistage.cli.services import down, env, serve, up
from multistage.cli.settings import settings
from multistage.cli.showing import best, report, runs, status
from multistage.cli.single_sweeping import single
from multistage.cli.slips import suggest_command, suggest_config
from multistage.cli.sweeping import INTERRUPTED, plan, resume, sweep
from multistage.cli.system_errors import explain_system_error
from multistage.cli.training import compare, train
from multistage.cli.working import work
from multistage.domain.workers.variables import PROXY_SCHEMES, SOCKS_SCHEMES, list_unusable_proxies, spare_loopback
from multistage.errors import ConfigUnknownError, MetricUnnamedError, MultistageError, UsageError
from multistage.installation import DISTRIBUTION, read_version

app = App(
    name="multistage-sweep",
    help="Find good hyperparameters in three narrowing stages of real training runs.",
    version=read_version,
)
app.default(sweep)
app.command(sweep, name="run")
for command in (
    init, single, plan, resume, status, approve, report, best, runs, train, compare, settings, deploy, doctor, up, env,
    serve, down, work,
):  # fmt: skip
    app.command(command)
app.register_install_completion_command(help="Install shell completion for bash, zsh or fish.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 misused, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    _settle_proxies()
    try:
        _check_home()
        code = app(given or ["--help"], exit_on_error=False, print_error=False, result_action="return_value")
        print(end="", flush=True)
    except CoercionError as error:
        refusal = explain_flag(error) or UsageError(str(error), "See multistage-sweep --help.")
        code = _complain(refusal.message, refusal.hint, refusal.exit_code)
    except CycloptsError as error:
        meant = suggest_command(given, app)
        code = _complain(str(error), f"{meant}See multistage-sweep --help.", UsageError.exit_code)
    except ConfigUnknownError as error:
        meant = suggest_command([error.config_id], app) or suggest_config(error.config_id)
        code = _complain(error.message, f"{meant}{error.hint}", error.exit_code)
    except MetricUnnamedError as error:
        typed = f"{shlex.join((app.name[0], *given))} {error.flags}"
        code = _complain(error.message, f"{error.hint} {typed}", error.exit_code)
    except MultistageError as error:
        code = _complain(error.message, error.hint, error.exit_code)
    except ModuleNotFoundError as error:
        code = _complain(f"{DISTRIBUTION} is incomplete: {error}.", f"`{DISTRIBUTION} doctor` says what to do.", 1)
    except OSError as error:
        explained = explain_system_error(error)
        code = _complain(explained.message, explained.hint, explained.exit_code) if explained else 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _check_home() -> None:
    """Check that the user has a home folder: Prefect and the wandb client keep things there, and end without a word.

    Raises:
        UsageError: Nobody knows of one, as in a container that was given a user by number.
    """
    try:
        Path.home()
    except RuntimeError as error:
        raise UsageError(
            f"There is no home folder: HOME is not set, and user {os.getuid()} is not known to this machine.",
            "Set it to a folder that can be written: export HOME=/path/to/folder.",
        ) from error


def _settle_proxies() -> None:
    """Reach this machine's own services past any proxy, and leave out one by which Prefect's client would end."""
    known = (*PROXY_SCHEMES, *(SOCKS_SCHEMES if find_spec("socksio") else ()))
    for name in list_unusable_proxies(os.environ, known):
        scheme = os.environ.pop(name).partition("://")[0]
        print(f"{name} is left out, for trainings too: Prefect's client knows no {scheme} proxies.", file=sys.stderr)
    spare_loopback(os.environ)


def _complain(message: str, hint: str, code: int) -> int:
    print(f"multistage-sweep: {message} {hint}".rstrip(), file=sys.stderr)
    return code
