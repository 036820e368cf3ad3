"""Draw the terminal pictures of the docs: run `init` and a sweep for real, and write what they print as SVG.

    python docs/record_terminal.py [FOLDER]

It starts services of its own in a temporary folder, ends them again, and takes some minutes. The pictures load nothing
from the network.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 100
LINES = 48
"""The most that a picture shows; of longer outputs the middle is left out."""
SCRIPT = """\
import argparse
import math
import time

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--dropout", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
with wandb.init(config=vars(options)) as run:
    for epoch in range(5):
        time.sleep(0.05)
        error = 0.1 * abs(math.log10(options.lr / 3e-3)) + abs(options.dropout - 0.2)
        run.log({"val/acc": 0.9 - error + 0.01 * epoch + 0.001 * (options.seed % 7)})
"""
COMMANDS = {
    "init": ("init", "train.py", "--yes"),
    "sweep": ("my-project:train", "--budget", "20", "--workers", "2"),
}


def record(folder: Path) -> None:
    """Run the commands in a project of their own, and write a picture of each.

    Args:
        folder: Where the pictures go.
    """
    program = str(Path(sys.executable).with_name("multistage-sweep"))
    with tempfile.TemporaryDirectory() as home:
        project = Path(home) / "my-project"
        project.mkdir()
        (project / "train.py").write_text(SCRIPT)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WANDB_", "PREFECT_", "MULTISTAGE_"))
        }
        own = {"HOME": home, "MULTISTAGE_HOME": f"{home}/services", "COLUMNS": str(WIDTH)}
        try:
            for name, words in COMMANDS.items():
                done = subprocess.run(
                    [program, *words], cwd=project, env=kept | own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True, check=True, timeout=900,
                )  # fmt: skip
                (folder / f"terminal_{name}.svg").write_text(draw(words, tidy(done.stdout, home)))
        finally:
            subprocess.run([program, "down", "--force"], cwd=project, env=kept | own, check=True, timeout=300)


def tidy(output: str, home: str) -> list[str]:
    """Leave out what is this machine's own, and the middle of what is too long."""
    lines = output.replace(os.path.realpath(home), "~").replace(home, "~").rstrip().splitlines()
    lines = [line for line in lines if not line.startswith("Waiting for the ")]  # as long as this machine is busy
    if len(lines) <= LINES:
        return lines
    return [*lines[: LINES // 2], "...", *lines[-LINES // 2 :]]


def draw(words: Sequence[str], lines: Sequence[str]) -> str:
    """Write a command and what it printed as SVG, in whatever monospaced font there is."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bold green"), (f"multistage-sweep {' '.join(words)}", "bold")))
    for line in lines:
        style = "yellow" if line.startswith("Warning") else "bold" if line.startswith("Recommended") else ""
        console.print(Text(line, style), soft_wrap=False)
    console.print()  # a fallback font may be higher than rich's own: the last line would be cut
    svg = console.export_svg(title="multistage-sweep", unique_id="terminal")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    record(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
