"""Shells complete the commands once `--install-completion` has been run; each shell itself is asked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from multistage.cli import main

BASH = """
. {script}
function=$(complete -p multistage-sweep | sed -E 's/.*-F ([^ ]+).*/\\1/')
COMP_WORDS=(multistage-sweep pl) COMP_CWORD=1; $function; echo "${{COMPREPLY[@]}}"
COMP_WORDS=(multistage-sweep plan --bud) COMP_CWORD=2; $function; echo "${{COMPREPLY[@]}}"
"""
ZSH = "fpath=({script:h} $fpath); autoload -Uz compinit; compinit -u; print $_comps[multistage-sweep]"
FISH = 'complete -C "multistage-sweep pl"; complete -C "multistage-sweep plan --bud"'
SCRIPTS = {
    "bash": ".local/share/bash-completion/completions/multistage-sweep",
    "zsh": ".zsh/completions/_cyclopts_multistage-sweep",
    "fish": ".config/fish/completions/multistage-sweep.fish",
}


def install(shell: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "BASH_COMPLETION_USER_DIR", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as ended:
        main(("--install-completion", "--shell", shell))
    assert ended.value.code == 0
    return home / SCRIPTS[shell]


def ask(shell: str, code: str) -> list[str]:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # fish completes what it finds
    environment = {**os.environ, "PATH": path}
    done = subprocess.run([shell, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_completes_commands_and_options(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = install(shell, tmp_path, monkeypatch)
    assert "--budget" in script.read_text()
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    if shell == "bash":
        assert ask(shell, BASH.format(script=script)) == ["plan", "--budget"]
    elif shell == "zsh":
        assert ask(shell, ZSH.replace("{script:h}", str(script.parent))) == [script.name]
    else:
        assert [line.split("\t")[0] for line in ask(shell, FISH)] == ["plan", "--budget"]
