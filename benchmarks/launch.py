"""What it costs to launch workers elsewhere, and what share of their time is training. Prints figures, asserts nothing.

    python benchmarks/launch.py --launcher modal|slurm|ssh [--workers N] [--watch SECONDS] [--budget RUNS]
        [--at-once N]

``--workers`` are those that are launched and watched, ``--at-once`` those of the whole sweep: eight unless it is given.
``--budget 0`` leaves that sweep out.
"""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launcher", choices=("modal", "slurm", "ssh"), required=True)
    parser.add_argument("--workers", type=int, help="launched and watched (modal: 100, slurm: 40; ssh: none)")
    parser.add_argument("--watch", type=float, help="seconds of polling (modal: 140, slurm: 60)")
    parser.add_argument("--budget", type=int, help="runs of the whole sweep (modal: 160, slurm and ssh: 64); 0: none")
    parser.add_argument("--at-once", type=int, default=8, help="the whole sweep's workers; an even number for ssh")
    options = parser.parse_args()
    if options.launcher == "ssh" and (options.workers or options.watch):
        parser.error("ssh has nothing to launch and watch by itself: leave --workers and --watch out")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the beginning")
    module = import_module(f"launch_{options.launcher}")
    if options.launcher == "ssh":
        module.measure(options.budget, options.at_once)
    else:
        module.measure(options.workers, options.watch, options.budget, options.at_once)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
