"""What a shell, W&B's settings files and a ``.env`` say of runs is overridden with a word, or refused."""

from pathlib import Path

import pytest

from multistage.domain.sweep.account import EMBEDDED
from multistage.errors import UsageError
from multistage.wandb_client.login import find_credentials, open_account
from multistage.wandb_client.surroundings import review_surroundings

KEY = "local-0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def home(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("WANDB_BASE_URL", "WANDB_API_KEY", "WANDB_MODE", "WANDB_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(workplace))
    return workplace


def write_settings(folder: str, *lines: str) -> None:
    path = Path(folder) / "settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("[default]", *lines)))


def review(script: str = "import wandb", server: str | None = None, **variables: str) -> tuple[str, ...]:
    Path("train.py").write_text(script)
    return review_surroundings(Path.cwd(), Path("train.py").absolute(), server, variables)


def test_nothing_set_is_nothing_said() -> None:
    assert review(WANDB_TAGS="mine", WANDB_MODE="online") == ()


@pytest.mark.parametrize(
    ("script", "brings"),
    [
        ("wandb.login(key='40 letters')", True),
        ("wandb.login('40 letters')", True),
        ('import wandb\nif on:\n    wandb.login(\n        relogin=True, key = "40 letters",\n    )', True),
        ("os.environ['WANDB_API_KEY'] = '40 letters'", True),
        ('os.environ["WANDB_API_KEY"] = read_key()', True),
        ("wandb.login()", False),
        ("wandb.login(key=os.environ['WANDB_API_KEY'])", False),
        ("assert os.environ['WANDB_API_KEY'] == key", False),
        ("# wandb.login(key='40 letters')", False),
        ("os.environ.setdefault('WANDB_API_KEY', '40 letters')", False),
    ],
)
def test_a_key_in_the_script_is_told_where_the_server_would_refuse_it(script: str, brings: bool) -> None:
    said = review(script)
    assert len(said) == brings
    assert all("train.py brings a W&B key of its own, which the embedded server refuses" in one for one in said)
    assert review(script, "https://api.wandb.ai") == ()


@pytest.mark.parametrize("mode", ["offline", "disabled", "dryrun"])
def test_a_mode_is_overridden_with_a_word(mode: str) -> None:
    (said,) = review(WANDB_MODE=mode)
    assert said.startswith(f"WANDB_MODE={mode} is overridden")
    write_settings("wandb", f"mode = {mode}")
    (said,) = review()
    assert f"mode = {mode} in {Path.cwd() / 'wandb' / 'settings'} is overridden" in said
    assert review(WANDB_MODE="online") == ()


def test_an_offline_mode_chooses_the_embedded_server_unless_another_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    write_settings("wandb", "mode = offline")
    account = open_account("auto")
    assert (account.kind, account.base_url) == (EMBEDDED.kind, None)
    assert "since mode = offline" in account.reason
    assert "--tracker wandb takes https://api.wandb.ai" in account.reason


def test_the_folders_settings_go_before_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    write_settings(".config/wandb", "base_url = https://one.example/")
    assert (find_credentials() or ("",))[0] == "https://one.example"
    write_settings("wandb", "base_url = https://two.example")
    assert (find_credentials() or ("",))[0] == "https://two.example"
    (Path("wandb") / "settings").write_text("no settings")
    assert (find_credentials() or ("",))[0] == "https://one.example"
    (said,) = review()
    assert "base_url in" in said
    assert review(server="https://one.example") == ()


def test_a_bad_mode_does_not_end_the_client_before_it_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert find_credentials() is not None


def test_what_is_meant_for_one_run_is_named() -> None:
    (said,) = review(WANDB_NAME="baseline", WANDB_RESUME="must", WANDB_JOB_TYPE="train")
    assert "do not get WANDB_NAME, WANDB_RESUME of your environment" in said


@pytest.mark.parametrize("key", ["resume", "identity_token_file", "http_proxy"])
def test_a_settings_file_that_no_variable_takes_back_is_refused(key: str) -> None:
    write_settings(".config/wandb", f"{key} = must")
    with pytest.raises(UsageError, match=rf"settings sets {key}"):
        review()


def test_a_proxy_of_the_client_serves_a_server_elsewhere() -> None:
    write_settings("wandb", "http_proxy = http://proxy.example:1")
    assert review(server="https://api.wandb.ai") == ()


@pytest.mark.parametrize("line", ["WANDB_BASE_URL=http://elsewhere", "WANDB_API_KEY=secret", "WANDB_MODE=offline"])
def test_a_dotenv_that_a_script_lets_override_the_sweep_is_refused(line: str) -> None:
    Path(".env").write_text(line)
    with pytest.raises(UsageError, match=f"override=True, and {line.partition('=')[0]}") as refused:
        review("from dotenv import load_dotenv\nload_dotenv('.env', override = True)")
    assert "secret" not in str(refused.value)


def test_a_dotenv_that_is_read_after_the_environment_is_said() -> None:
    Path(".env").write_text("WANDB_API_KEY=secret\nWANDB_PROJECT=p\nOTHER=1")
    (said,) = review("from dotenv import load_dotenv\nload_dotenv()")
    assert "sets WANDB_PROJECT, which trainings keep as the sweep has it" in said
    Path(".env").write_text("WANDB_API_KEY=secret")
    assert review() == ()


def test_a_dotenv_with_what_one_run_is_meant_for_is_refused_where_it_is_loaded() -> None:
    Path(".env").write_text("WANDB_RESUME=must")
    assert review() == ()
    with pytest.raises(UsageError, match="sets WANDB_RESUME"):
        review("import dotenv\ndotenv.load_dotenv()")


@pytest.mark.parametrize(
    ("url", "correct"),
    [
        ("wandb.mycorp.com", "https://wandb.mycorp.com"),
        ("wandb.mycorp.com:8080", "https://wandb.mycorp.com:8080"),
        ("ftp://wandb.mycorp.com", "https://wandb.example.com"),
        ("https://", "https://wandb.example.com"),
        ("http://[::1", "https://wandb.example.com"),
        ("http://a:port", "https://wandb.example.com"),
    ],
)
def test_a_server_that_is_no_address_is_named_with_its_place(
    url: str, correct: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy = f"Write {correct}; --tracker embedded needs no account."
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    write_settings("wandb", f"base_url = {url}")
    with pytest.raises(UsageError) as refused:
        find_credentials()
    assert str(refused.value) == f"base_url in {Path.cwd()}/wandb/settings is {url!r}, which is no address. {remedy}"
    monkeypatch.setenv("WANDB_BASE_URL", url)
    with pytest.raises(UsageError) as refused:
        open_account("auto")
    assert str(refused.value) == f"WANDB_BASE_URL is {url!r}, which is no address. {remedy}"
    assert open_account("embedded").kind == "embedded"


@pytest.mark.parametrize(
    ("password", "reason"), [(b"short", "API key must have 40"), (b"\xff", "'utf-8' codec can't decode byte 0xff")]
)
def test_a_key_that_cannot_be_read_is_told(home: Path, password: bytes, reason: str) -> None:
    (home / ".netrc").write_bytes(b"machine api.wandb.ai\n  login user\n  password " + password + b"\n")
    with pytest.raises(UsageError) as refused:
        open_account("auto")
    assert refused.value.message.startswith("The key of https://api.wandb.ai cannot be read: ")
    assert reason in refused.value.message
    assert not refused.value.message.endswith("..")
    assert "--tracker embedded" in refused.value.hint
