"""Why a program failed, by real outputs of what people write their command lines, configs and launches with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multistage.domain.runs.reasons import find_reason

TRACEBACK = """
Traceback (most recent call last):
  File "/home/me/train.py", line 5, in main
    raise ValueError("lr must be positive, not -1")
"""
CLOSING = "ValueError: lr must be positive, not -1"

OUTPUTS = {
    "plain": (TRACEBACK + CLOSING, CLOSING),
    "hydra": (
        (
            f"Error executing job with overrides: []{TRACEBACK}{CLOSING}\n\n"
            "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace."
        ),
        CLOSING,
    ),
    "hydra's overrides": (
        (
            "Could not override 'nolr'.\nTo append to your config use +nolr=2\nKey 'nolr' is not in struct\n"
            "    full_key: nolr\n    object_type=dict\n\n"
            "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace."
        ),
        "Could not override 'nolr'.",
    ),
    "omegaconf": (
        (
            f"{TRACEBACK}omegaconf.errors.ConfigAttributeError: Key 'lr' is not in struct\n"
            "    full_key: a.lr\n    object_type=dict"
        ),
        "omegaconf.errors.ConfigAttributeError: Key 'lr' is not in struct; full_key: a.lr",
    ),
    "tyro, an unknown option": (
        (
            "starting\n"
            "╭─ Unrecognized options ─────────────╮\n"
            "│ Unrecognized options: --x=1        │\n"
            "│ ────────────────────────────────── │\n"
            "│ For full helptext, run t.py --help │\n"
            "╰────────────────────────────────────╯"
        ),
        "Unrecognized options: --x=1",
    ),
    "tyro, a missing option": (
        (
            "╭─ Required options ──────╮\n"
            "│ Missing from t.py:      │\n"
            "│     --lr FLOAT          │\n"
            "│         (required)      │\n"
            "│ ─────────────────────── │\n"
            "│ For full helptext, run: │\n"
            "│     t.py --help         │\n"
            "╰─────────────────────────╯"
        ),
        "Missing from t.py: --lr FLOAT",
    ),
    "tyro, a wrong value": (
        (
            "╭─ Value error ──────────────────────────────────────────────╮\n"
            "│ Error parsing --lr: could not convert string to float: 'x' │\n"
            "│ ────────────────────────────────────────────────────────── │\n"
            "│ Argument helptext:                                         │\n"
            "│     --lr FLOAT                                             │\n"
            "│     (required)                                             │\n"
            "│ ────────────────────────────────────────────────────────── │\n"
            "│ For full helptext, see t.py --help                         │\n"
            "╰────────────────────────────────────────────────────────────╯"
        ),
        "Error parsing --lr: could not convert string to float: 'x'",
    ),
    "typer": (
        (
            "Usage: c.py [OPTIONS]\nTry 'c.py --help' for help.\n"
            "╭─ Error ──────────────────────╮\n│ No such option: --x          │\n╰──────────────────────────────╯"
        ),
        "No such option: --x",
    ),
    "click": (
        "Usage: c.py [OPTIONS]\nTry 'c.py --help' for help.\n\nError: Missing option '--lr'.",
        "Error: Missing option '--lr'.",
    ),
    "argparse": (
        "usage: a.py [-h] [--lr LR]\na.py: error: unrecognized arguments: --x=1",
        "a.py: error: unrecognized arguments: --x=1",
    ),
    "absl": (
        "FATAL Flags parsing error: Unknown command line flag 'x'\nPass --helpshort or --helpfull to see help.",
        "FATAL Flags parsing error: Unknown command line flag 'x'",
    ),
    "pydantic": (
        (
            f"{TRACEBACK}pydantic_core.ValidationError: 2 validation errors for Args\nlr\n"
            "  Input should be a valid number [type=float_parsing, input_value='x', input_type=str]\n"
            "    For further information visit https://errors.pydantic.dev/2.14/v/float_parsing\nseed\n"
            "  Field required [type=missing, input_value={'lr': 'x'}, input_type=dict]\n"
            "    For further information visit https://errors.pydantic.dev/2.14/v/missing"
        ),
        "pydantic_core.ValidationError: 2 validation errors for Args: lr: Input should be a valid number",
    ),
    "CUDA and multiprocessing": (
        (
            f"{TRACEBACK}RuntimeError: CUDA error: device-side assert triggered\n"
            "CUDA kernel errors might be asynchronously reported at some other API call.\n"
            "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n\n"
            "/usr/lib/multiprocessing/resource_tracker.py:254: UserWarning: resource_tracker: There appear to be "
            "1 leaked shared_memory objects to clean up at shutdown\n"
            "  warnings.warn('resource_tracker: There appear to be %d '"
        ),
        "RuntimeError: CUDA error: device-side assert triggered",
    ),
    "a word, then multiprocessing": (
        (
            "lr must be positive\n"
            "/usr/lib/multiprocessing/resource_tracker.py:254: UserWarning: resource_tracker: There appear to be "
            "1 leaked shared_memory objects to clean up at shutdown\n"
            "  warnings.warn('resource_tracker: There appear to be %d '"
        ),
        "lr must be positive",
    ),
    "a state dict": (
        f"{TRACEBACK}RuntimeError: Error(s) in loading state_dict for Linear:\n\tsize mismatch for weight: no.",
        "RuntimeError: Error(s) in loading state_dict for Linear: size mismatch for weight: no.",
    ),
    "JAX": (
        (
            "jax.errors.SimplifiedTraceback: For simplicity, JAX has removed its internal frames from it.\n\n"
            "The above exception was the direct cause of the following exception:\n"
            f"{TRACEBACK}{CLOSING}\n--------------------\n"
            "For simplicity, JAX has removed its internal frames from the traceback of the following exception. Set "
            "JAX_TRACEBACK_FILTERING=off to include these."
        ),
        CLOSING,
    ),
    "torch.distributed.run": (
        "".join(f"[rank0]: {line}\n" for line in (TRACEBACK + CLOSING).strip().splitlines())
        + "[rank1]: Traceback (most recent call last):\n"
        '[rank1]:   File "/home/me/train.py", line 9, in <module>\n'
        "[rank1]: torch.distributed.DistBackendError: [1] is setting up NCCL communicator\n"
        "E1129 20:53:04.748000 10680 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: 1)\n"
        "Traceback (most recent call last):\n"
        '  File "/usr/bin/torchrun", line 8, in <module>\n'
        "    raise ChildFailedError(\n"
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
        "============================================================\n"
        "train.py FAILED\n"
        "------------------------------------------------------------\n"
        "  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html\n"
        "============================================================",
        CLOSING,
    ),
    "accelerate launch": (
        (
            f"{TRACEBACK}{CLOSING}\nTraceback (most recent call last):\n"
            '  File "/usr/bin/accelerate", line 8, in <module>\n    raise subprocess.CalledProcessError(\n'
            "subprocess.CalledProcessError: Command '['python', 'train.py']' returned non-zero exit status 1."
        ),
        CLOSING,
    ),
    "spawned": (
        (
            f"{TRACEBACK}torch.multiprocessing.spawn.ProcessRaisedException: \n\n"
            f"-- Process 1 terminated with the following error:{TRACEBACK}{CLOSING}"
        ),
        CLOSING,
    ),
    "rich": ("╭── Traceback (most recent call last) ──╮\n│ train.py:4 in <module> │\n╰────╯\n" + CLOSING, CLOSING),
    "a class of any name": (f"{TRACEBACK}__main__.Diverged: loss is nan", "__main__.Diverged: loss is nan"),
    "no message": (f"{TRACEBACK}AssertionError", "AssertionError"),
    "a note below": (f"{TRACEBACK}{CLOSING}\nsee the docs", CLOSING),
    "ignored at the end": (
        (
            f"{TRACEBACK}{CLOSING}\nException ignored in: <function Viewer.__del__ at 0x7f>\n"
            'Traceback (most recent call last):\n  File "/home/me/gym.py", line 165, in __del__\n'
            "TypeError: 'NoneType' object is not callable"
        ),
        CLOSING,
    ),
    "syntax": (
        '  File "train.py", line 1\n    def f(:\n          ^\nSyntaxError: invalid syntax',
        "SyntaxError: invalid syntax",
    ),
    "no such file": (
        "python: can't open file 'x.py': [Errno 2] No such file",
        "python: can't open file 'x.py': [Errno 2] No such file",
    ),
    "a log's capitalized line": ("Epoch: 3\nKilled", "Killed"),
    "borders alone": ("====", "===="),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("output", "reason"), OUTPUTS.values(), ids=OUTPUTS.keys())
def test_the_line_is_found_that_says_why(output: str, reason: str) -> None:
    assert find_reason(output.splitlines()) == reason


@given(st.lists(st.text(max_size=20)))
def test_whatever_is_printed_gives_one_line(lines: list[str]) -> None:
    shown = [line for text in lines for line in text.splitlines()]
    assert len(find_reason(shown).splitlines()) <= 1
    assert bool(find_reason(shown)) == any(line.strip() for line in shown)
