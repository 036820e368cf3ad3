import sys
import time
from pathlib import Path

import psutil

from multistage.introduction.script_help import ask_help
from multistage.worker.interpreter import inspect_interpreter


def ask(workplace: Path, text: str, limit: float = 60.0) -> str | None:
    (workplace / "train.py").write_text(text)
    return ask_help([sys.executable, "train.py"], workplace, workplace / "bin", None, limit)


def test_a_script_is_asked_for_its_options(workplace: Path) -> None:
    page = ask(
        workplace, "import argparse\np = argparse.ArgumentParser()\np.add_argument('--learning_rate')\np.parse_args()"
    )
    assert page is not None
    assert "--learning_rate" in page


def test_one_that_trains_all_the_same_is_ended_with_its_helpers(workplace: Path) -> None:
    began = time.monotonic()
    text = """
import os, subprocess, time
assert os.environ["WANDB_MODE"] == "disabled"
subprocess.Popen(["sleep", "77"])
time.sleep(77)
"""
    assert ask(workplace, text, 1.0) is None
    assert time.monotonic() - began < 30
    assert not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", "77"]]


def test_what_is_printed_before_an_error_is_read_too(workplace: Path) -> None:
    assert ask(workplace, "print('--lr LR')\nraise SystemExit(2)") == "--lr LR\n"
    assert ask_help(["./missing"], workplace, workplace, None, 1.0) == ""


def test_another_interpreter_is_entered(workplace: Path) -> None:
    found = inspect_interpreter(Path(sys.executable))
    (workplace / "train.py").write_text("import os\nprint(os.environ['PATH'])")
    text = ask_help([sys.executable, "train.py"], workplace, workplace / "bin", found, 60.0)
    assert text is not None
    assert text.startswith(str(Path(sys.executable).parent))
