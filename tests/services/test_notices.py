"""Who is notified: by a variable or a file, with the URL in no word that is shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from multistage.domain.workers.variables import withhold_secrets
from multistage.errors import ServiceError, UsageError
from multistage.services.notices import check_name, open_notifier
from multistage.settings import Settings
from tests.sinks import TOKEN, Sink, open_sink


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("MULTISTAGE_NOTIFY_MY_PHONE", raising=False)
    return Settings(home=tmp_path)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with open_sink() as found:
        yield found


def write(settings: Settings, text: str, mode: int = 0o600) -> Path:
    path = settings.notify_folder / "my-phone"
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_variable_names_the_service_and_a_refusal_is_an_error(
    sink: Sink, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTISTAGE_NOTIFY_MY_PHONE", sink.url)
    send = open_notifier("my-phone", settings)
    send("sweep: done", "all is well")
    assert [(one["title"], one["message"]) for one in sink.told] == [("sweep: done", "all is well")]
    sink.status = 500
    with pytest.raises(ServiceError, match="to 'my-phone' was not delivered") as failed:
        send("again", "and again")
    assert TOKEN not in str(failed.value)


def test_a_file_names_it_too_where_its_user_alone_can_read_it(sink: Sink, settings: Settings) -> None:
    path = write(settings, f"{sink.url}\n")
    open_notifier("my-phone", settings)("done", "by a file")
    assert [one["message"] for one in sink.told] == ["by a file"]
    path.chmod(0o640)
    with pytest.raises(UsageError, match=f"Others can read {path}") as refused:
        open_notifier("my-phone", settings)
    assert refused.value.hint == f"chmod 600 {path}"


def test_an_unknown_kind_of_url_is_refused_without_being_shown(settings: Settings) -> None:
    write(settings, "nosuch://secret-token")
    with pytest.raises(UsageError, match="does not know the kind of URL") as refused:
        open_notifier("my-phone", settings)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("name", ["json://user:secret-token@example.com", "mailto:secret-token", "../secret-token", ""])
def test_a_url_is_no_name_and_is_not_repeated(name: str, settings: Settings) -> None:
    with pytest.raises(UsageError, match="--notify takes a name") as refused:
        check_name(name, settings)
    assert "MULTISTAGE_NOTIFY_PHONE" in refused.value.hint
    assert TOKEN not in str(refused.value)


def test_trainings_do_not_see_it() -> None:
    environment = {"MULTISTAGE_NOTIFY_PHONE": "secret", "MULTISTAGE_NOTIFY": "phone", "PATH": "/bin"}
    withhold_secrets(environment)
    assert environment == {"MULTISTAGE_NOTIFY": "phone", "PATH": "/bin"}
