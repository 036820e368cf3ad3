"""A sweep with ``--notify`` sends word when it waits, stops and is done, and keeps the token to itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import FAST, CommandLine
from tests.sinks import TOKEN, Sink, open_sink

BLOCK = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock
data = {"title": "{{subject}}", "message": "{{body}}"}
CustomWebhookNotificationBlock(name="team", url=sys.argv[1], json_data=data).save("team")
"""
SWEEP = ("digits:mlp", "--params", "alpha", "--budget", "10", "--name", "told", *FAST)
WAIT = ("--approve", "--approve-timeout", "1", "--on-timeout", "stop")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_sweep_sends_word_by_a_variable_and_by_a_block(commands: CommandLine, workplace: Path) -> None:
    folder = SweepFolder(workplace / "runs" / "told")
    with open_sink() as sink:
        refused = commands.run(*SWEEP, "--notify", sink.url, code=2)
        assert TOKEN not in refused.stderr
        assert not folder.path.exists()
        assert "Nothing is called 'nobody'" in commands.run(*SWEEP, "--notify", "nobody", code=2).stderr
        assert not folder.path.exists()

        variables = {"MULTISTAGE_NOTIFY_PHONE": sink.url}
        commands.run(*SWEEP, *WAIT, "--notify", "phone", code=1, variables=variables)
        assert read_titles(sink) == ["told: stage 2 waits for you", "told: stopped"]
        assert "multistage-sweep approve told" in sink.told[0]["message"]
        assert "Nobody approved" in sink.told[1]["message"]

        sink.told.clear()
        environment = {**commands.environment, **commands.read_exports()}
        url = f"http://127.0.0.1:{sink.server_port}/"
        subprocess.run([sys.executable, "-c", BLOCK, url], env=environment, check=True, timeout=120)
        commands.run("resume", "told", "--no-approve", "--notify", "team")
        assert read_titles(sink) == ["told: done"]
        state = folder.load_state()
        assert f"{state.page_url}" in sink.told[0]["message"]
        assert 'Recommended: {"alpha": ' in sink.told[0]["message"]
    kept = [path for path in workplace.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert not kept, "the token was written down"


def read_titles(sink: Sink) -> list[str]:
    """List the subjects of the messages, in their order."""
    return [one["title"] for one in sink.told]
