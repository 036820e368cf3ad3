"""``python -m multistage``: the command line, where its script is not on the path; that script begins here, too."""

import sys


def main() -> None:
    """Run the command line; where only what a worker needs is installed, `work` is all of it.

    Raises:
        SystemExit: With the exit code.
    """
    try:
        from multistage.cli import main as run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "multistage":
            raise
        _work_alone(sys.argv[1:], error)
    else:
        run()


def _work_alone(given: list[str], missing: ModuleNotFoundError) -> None:
    """Train for a sweep that is driven elsewhere.

    Args:
        given: The command line.
        missing: Why there is nothing else.
    """
    if given[:1] != ["work"]:
        sys.exit(_refuse(given, missing))
    from multistage.worker.following import main as follow

    follow(given[1:])


def _refuse(given: list[str], missing: ModuleNotFoundError) -> int:
    command = f"`multistage-sweep {given[0]}`" if given else "The command line"
    sys.stderr.write(
        f"multistage-sweep: {command} needs more than a worker does, and {missing.name} is not installed here. "
        "`multistage-sweep work` is what does without; `pip install multistage-sweep` brings the rest.\n"
    )
    return 2


if __name__ == "__main__":
    main()
