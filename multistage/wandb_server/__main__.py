"""``python -m multistage.wandb_server``: run the embedded server until it is told to end."""

import argparse
import logging
import sys
from pathlib import Path

from multistage.errors import MultistageError
from multistage.wandb_server.lifecycle import Timing
from multistage.wandb_server.serving import serve


def main() -> int:
    """Parse the command line and serve."""
    timing = Timing()
    parser = argparse.ArgumentParser(prog="python -m multistage.wandb_server", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the database, the key and the files")
    parser.add_argument(
        "--host", action="append", dest="hosts", help="address to listen on, may be given again (default: 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument(
        "--run-timeout",
        type=float,
        default=timing.run_timeout,
        help="seconds without a sign of life after which a run is crashed (default: %(default)s)",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(
            arguments.data.absolute(),
            arguments.hosts or ["127.0.0.1"],
            arguments.port,
            Timing(run_timeout=arguments.run_timeout),
        )
    except MultistageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
