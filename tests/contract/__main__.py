"""Runs the tests marked ``contract`` against the accounts that the environment names, and here, and compares.

    CONTRACT_API_KEY=... python -m tests.contract [arguments of pytest]

The tests' own output goes to stderr, the table to stdout. Ends with 0 where all is alike, 1 where something differs,
and 2 where no account is named.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from multistage.errors import UsageError
from tests.contract.accounts import find_server
from tests.contract.comparison import Outcome, find_differences, read_outcomes, write_table
from tests.contract.redaction import hide
from tests.contract.suites import choose_suites, list_secrets

ROOT = Path(__file__).parents[2]
# Not the usual traceback, which has every function's arguments, and so the keys.
PYTEST = ("-m", "pytest", "-m", "contract", "-v", "--tb=short", "-o", "junit_logging=no")
ENDED = {0, 1}
"""pytest's exit codes once every test has ended."""


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        suites = choose_suites(environment)
    except UsageError as refused:
        say(str(refused))
        return refused.exit_code
    secrets = list_secrets(environment)
    server = find_server(environment)
    say(f"There: {server.url if server else ''}, for {' and '.join(suites)}.")
    there = run_suites([*suites.values(), *arguments], environment, secrets)
    say("Here: the embedded server and the stand-in for Modal.")
    own = {name: value for name, value in environment.items() if not name.startswith("CONTRACT_")}
    here = run_suites([*suites.values(), *arguments], own, secrets)
    sys.stdout.write(hide(write_table(there, here), secrets) + "\n")
    return 1 if find_differences(there, here) else 0


def run_suites(arguments: Sequence[str], environment: Mapping[str, str], secrets: Sequence[str]) -> dict[str, Outcome]:
    """Run pytest to its end, even after Ctrl+C, when it still deletes what its tests made."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        process = subprocess.Popen(
            [sys.executable, *PYTEST, f"--junitxml={report}", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            relay(process, secrets)
        except KeyboardInterrupt:
            relay(process, secrets)
            raise
        if process.returncode not in ENDED:
            raise SystemExit(f"pytest ended with {process.returncode}.")
        return read_outcomes(report)


def relay(process: "subprocess.Popen[str]", secrets: Sequence[str]) -> None:
    for line in process.stdout or ():
        say(hide(line.rstrip("\n"), secrets))
    process.wait()


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:], os.environ)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
