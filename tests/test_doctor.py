"""The doctor finds what is wrong, says what to do, starts nothing and shows no secret."""

import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from multistage.cli import main
from multistage.installation import look_at_installation
from multistage.services.local_service import find_free_port
from tests import fake_nvml
from tests.ssh_hosts import SshHosts, needs_ssh

KEY = "local-0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith(("MULTISTAGE_", "WANDB_", "PREFECT_", "MODAL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(workplace / "home"))
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "services"))
    return workplace


def ask(capsys: pytest.CaptureFixture[str]) -> tuple[object, dict[str, dict[str, str]], str]:
    """Exit code, findings by subject (the worst where there are several), and all that was printed."""
    with pytest.raises(SystemExit) as ended:
        main(("doctor", "--json"))
    captured = capsys.readouterr()
    order = ["good", "note", "bad"]
    findings = sorted(json.loads(captured.out), key=lambda one: order.index(one["verdict"]))
    return ended.value.code, {one["subject"]: one for one in findings}, captured.out + captured.err


def test_a_user_with_nothing_configured_is_well(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    code, found, _ = ask(capsys)
    assert code == 0
    assert {subject for subject, one in found.items() if one["verdict"] == "bad"} == set()
    assert (found["W&B"]["verdict"], found["W&B"]["remedy"]) == ("note", "`wandb login`, to use W&B.")
    assert "starts it" in found["Prefect"]["what"]
    assert not (place / "services").exists()


@pytest.mark.parametrize(("gpus", "what"), [(0, "no GPU found"), (2, "2 GPUs (Tesla T4) found; ")])
def test_gpus_are_counted(
    gpus: int, what: str, capsys: pytest.CaptureFixture[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_nvml.install(monkeypatch, gpus)
    assert ask(capsys)[1]["GPUs"]["what"].startswith(what)


def test_what_is_wrong_is_told_with_its_remedy_and_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = f"http://127.0.0.1:{find_free_port()}"
    Path("multistage.toml").write_text("budgt = 3")
    monkeypatch.setenv("WANDB_BASE_URL", dead)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("PREFECT_API_URL", f"{dead}/api")
    monkeypatch.setenv("MULTISTAGE_WORKRS", "3")
    code, found, printed = ask(capsys)
    assert code == 1
    for subject, what, remedy in (
        ("settings", "unknown key 'budgt'", "budget"),
        ("W&B", f"{dead} does not answer", "WANDB_BASE_URL"),
        ("Prefect", "does not answer", "PREFECT_API_URL"),
    ):
        assert found[subject]["verdict"] == "bad"
        assert what in found[subject]["what"]
        assert remedy in found[subject]["remedy"]
    assert KEY not in printed
    assert "Did you mean MULTISTAGE_WORKERS?" in printed


@needs_ssh
def test_hosts_that_the_settings_name_are_asked(
    capsys: pytest.CaptureFixture[str], ssh_hosts: SshHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = 'launcher = "ssh"\nhosts = "host1:2"\n[configs."my:v1"]\nhosts = "host1:2,host2"\n'
    Path("multistage.toml").write_text(settings)
    code, _, printed = ask(capsys)
    assert code == 0
    assert printed.count("the host host1: 2 workers, ") == printed.count("the host host2: 1 worker, ") == 1
    monkeypatch.setenv("MULTISTAGE_HOSTS", "stranger")
    code, found, _ = ask(capsys)
    assert code == 1
    assert "The host stranger refuses the key" in found["ssh"]["what"]
    monkeypatch.setenv("MULTISTAGE_HOSTS", "host2")
    Path("multistage.toml").write_text('[ssh]\ndirectory = "/no/folder"\n')
    code, found, _ = ask(capsys)
    assert (code, found["ssh"]["what"]) == (1, "On the host host2: There is no folder /no/folder.")


def test_the_environment_is_looked_at(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):  # completed, and restored after the test
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    told = ask(capsys)[1]["environment"]
    assert (told["verdict"], "https_proxy set" in told["what"]) == ("good", True)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    told = ask(capsys)[1]["environment"]
    assert told["verdict"] == "note"
    assert told["what"].startswith("WANDB_MODE=disabled is overridden")


def test_packages_that_do_not_fit_are_named_with_what_to_install() -> None:
    def find(name: str) -> str:
        if name == "plotly":
            raise PackageNotFoundError(name)
        return "0.151.0" if name == "fastapi" else version(name)

    bad = {what: remedy for verdict, what, remedy in look_at_installation(find) if verdict == "bad"}
    assert set(bad) == {
        "fastapi 0.151.0 is installed, and <0.151,>=0.139 is needed.",
        "plotly is not installed.",
    }
    assert bad["plotly is not installed."].startswith("pip install 'plotly")


@pytest.mark.parametrize(("released", "told"), [("0.31.7", False), ("0.32.0", True), ("0.100.0", True)])
def test_a_client_that_was_not_tested_is_a_note(released: str, told: bool) -> None:
    looks = look_at_installation(lambda name: released if name == "wandb" else version(name))
    notes = [what for verdict, what, _ in looks if verdict == "note" and what.startswith("wandb")]
    assert notes == ([f"wandb {released} is newer than 0.31.0, the last release that was tested with this one."] * told)


def test_imports_that_hang_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multistage.installation.IMPORT_LIMIT", 0.01)
    [(verdict, what, _)] = [look for look in look_at_installation() if look[0] == "bad"]
    assert (verdict, "it took more than 0.01 s" in what) == ("bad", True)


def test_a_server_that_is_no_address_is_a_finding(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "wandb.mycorp.com")
    code, found, _ = ask(capsys)
    assert code == 1
    assert found["W&B"]["verdict"] == "bad"
    assert found["W&B"]["what"] == "WANDB_BASE_URL is 'wandb.mycorp.com', which is no address."
    assert found["W&B"]["remedy"].startswith("Write https://wandb.mycorp.com")
