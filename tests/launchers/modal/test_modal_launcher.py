"""The launcher against the stand-in: what is spawned, noted, found again and refused. No container runs here."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from multistage.domain.sweep.plan import RunOptions
from multistage.domain.workers.cost import Cost
from multistage.domain.workers.variables import PREFECT_AUTH, PREFECT_SERVER_AUTH
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.driver.roster import Roster
from multistage.errors import CloudAwayError, LaunchError
from multistage.launchers.local.launcher import LocalLauncher
from multistage.launchers.modal.app import TRAINER_EXTRAS, build_app, describe_content, list_contents
from multistage.launchers.modal.launcher import ModalLauncher
from multistage.launchers.modal.prices import Rates, fetch_rates
from multistage.launchers.modal.records import read_call
from multistage.options.modal import Resources
from multistage.store.journal import Journal
from multistage.store.sweep_folder import SweepFolder
from tests.launchers.modal.modal_client import using
from tests.stand_ins.modal_server import ModalServer
from tests.states import make_state

SWEEP = "local/bench/abc"
KEY = {"wandb-secret": {"WANDB_API_KEY": "k" * 40}}


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModalServer]:
    with ModalServer(tmp_path_factory.mktemp("m"), KEY) as server:
        server.plane.start_delay = 86_400.0
        with using(server, monkeypatch):
            yield server


@pytest.fixture
def launcher(server: ModalServer) -> Iterator[ModalLauncher]:
    with closing(
        ModalLauncher(Resources(), list_contents(("digits",), None, None), base_url="http://127.0.0.1:1")
    ) as launcher:
        yield launcher


def latest(records: list[WorkerRecord]) -> list[WorkerRecord]:
    """As whoever notes them: a later record of a worker replaces the earlier."""
    found = {one.worker_id: one for one in records}
    return list(found.values())


def forget_call(record: WorkerRecord) -> WorkerRecord:
    """As its launcher had noted it before it was spawned."""
    return record.model_copy(update={"is_started": False, "details": {**record.details, "call_id": None}})


def test_each_worker_is_told_of_before_and_after_it_is_spawned(server: ModalServer, launcher: ModalLauncher) -> None:
    records = launcher.launch(SWEEP, 2)
    intents = [next(iter(records)) for _ in range(2)]
    assert server.list_calls() == []
    assert [read_call(one).call_id for one in latest(intents)] == [None, None]
    spawned = latest(list(records))
    assert {read_call(one).call_id for one in spawned} == {call.call_id for call in server.list_calls()}
    assert all(launcher.is_alive(one) for one in spawned)


def test_what_a_container_may_use_is_bounded_by_what_it_pays_for(server: ModalServer) -> None:
    options = Resources(cpu=1.5, memory=3, gpu="T4", timeout=100, region="us-east", max_containers=7)
    with closing(ModalLauncher(options, list_contents((), None, None))) as launcher:
        list(launcher.launch(SWEEP, 1))
    definition = server.list_calls()[0].function.definition
    resources = definition.resources
    assert (resources.milli_cpu, resources.milli_cpu_max) == (1500, 1500)
    assert (resources.memory_mb, resources.memory_mb_max) == (3072, 3072)
    assert resources.gpu_config.gpu_type == "T4"
    assert definition.timeout_secs == 160
    assert definition.scheduler_placement.regions == ["us-east"]
    assert definition.concurrency_limit == 7


def test_a_lost_reply_spawns_once(server: ModalServer, launcher: ModalLauncher) -> None:
    server.wire.lost_replies["FunctionMap"] = 3
    assert len(latest(list(launcher.launch(SWEEP, 4)))) == len(server.list_calls()) == 4


def test_spawned_workers_are_noted_though_others_could_not_be(server: ModalServer, launcher: ModalLauncher) -> None:
    list(launcher.launch(SWEEP, 1))
    server.wire.failures["FunctionMap"] = 6
    known: list[WorkerRecord] = []
    with pytest.raises(CloudAwayError, match="does not answer"):
        known.extend(launcher.launch(SWEEP, 1))
    server.wire.failures["FunctionMap"] = 0
    (record,) = latest(known)
    end = launcher.inspect(record)
    assert end is not None
    assert (end.fault, end.seconds, end.reason) == ("machine", 0.0, "It was never spawned.")


def test_any_process_ends_workers_by_their_records(server: ModalServer, launcher: ModalLauncher) -> None:
    known = latest(list(launcher.launch(SWEEP, 30)))
    known[0] = forget_call(known[0])  # its launcher died before it knew
    began = time.monotonic()
    with closing(ModalLauncher(Resources())) as other:
        other.stop(known)
        other.stop(known)
        assert time.monotonic() - began < 10
        assert not any(other.is_alive(one) for one in known)
    calls = {call.call_id: call for call in server.list_calls()}
    assert all(calls[call_id].cancelled for one in known if (call_id := read_call(one).call_id))


def test_a_cloud_that_is_away_is_no_end(server: ModalServer, launcher: ModalLauncher) -> None:
    (record,) = latest(list(launcher.launch(SWEEP, 1)))
    server.wire.away = True
    unknown = forget_call(record).model_copy(update={"worker_id": "0" * 16})
    with closing(ModalLauncher(Resources())) as other:
        assert other.is_alive(record)
        assert other.is_alive(unknown)
        with pytest.raises(LaunchError, match="modal app stop"):
            other.stop([record])
    with pytest.raises(CloudAwayError):
        list(launcher.launch(SWEEP, 1))
    server.wire.away = False
    assert launcher.is_alive(record)


@pytest.mark.parametrize("secrets", [{}, {"wandb-secret": {"OTHER": "x"}}], ids=["no secret", "no key in it"])
def test_a_missing_secret_is_found_before_anything_is_deployed(
    server: ModalServer, launcher: ModalLauncher, secrets: dict[str, dict[str, str]]
) -> None:
    server.plane.secrets = secrets
    with pytest.raises(LaunchError) as refused:
        list(launcher.launch(SWEEP, 5))
    assert "modal secret create wandb-secret WANDB_API_KEY=" in refused.value.hint
    assert not server.plane.apps
    assert server.list_calls() == []


def test_a_broken_image_is_explained(server: ModalServer, launcher: ModalLauncher) -> None:
    server.plane.broken_image = "No matching distribution found for wandb==99"
    with pytest.raises(LaunchError, match=r"cannot build the image.*"):
        list(launcher.launch(SWEEP, 5))
    assert server.list_calls() == []


def test_a_refused_token_is_explained(
    server: ModalServer, launcher: ModalLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODAL_TOKEN_SECRET", "wrong")
    with pytest.raises(LaunchError) as refused:
        list(launcher.launch(SWEEP, 1))
    assert "modal token new" in refused.value.hint


def test_an_app_that_was_deployed_by_hand_is_taken(server: ModalServer, launcher: ModalLauncher) -> None:
    whole = describe_content(TRAINER_EXTRAS)
    build_app(whole).deploy(name=whole.name_app())
    (record,) = latest(list(launcher.launch(SWEEP, 1)))
    assert read_call(record).app == whole.name_app()
    assert len(server.plane.apps) == 1


def test_a_project_is_uploaded_without_what_is_private(server: ModalServer, tmp_path: Path) -> None:
    for name in ("train.py", "package/model.py", ".env", "package/.env.local", ".git/config", "wandb/run.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("1")
    (tmp_path / "requirements.txt").write_text("einops==0.8.1\n")
    contents = list_contents((), tmp_path, "3.12")
    with closing(ModalLauncher(Resources(), contents)) as launcher:
        list(launcher.launch(SWEEP, 1))
    files = {path for mount in server.plane._mounts.values() for path in mount if path.startswith(str(tmp_path))}
    assert files == {str(tmp_path / name) for name in ("train.py", "package/model.py", "requirements.txt")}
    commands = [" ".join(image.dockerfile_commands) for image in server.plane.images]
    assert any("python:3.12" in text or "3.12" in text for text in commands)
    named = [index for index, text in enumerate(commands) if "wandb==" in text]
    theirs = [index for index, image in enumerate(server.plane.images) if b"einops" in image.SerializeToString()]
    assert theirs
    assert min(theirs) < min(named)
    (app,) = contents
    (tmp_path / ".env").write_text("2")
    assert list_contents((), tmp_path, "3.12")[0].name_app() == app.name_app()


def test_modal_s_own_rates_are_taken_where_they_make_sense(server: ModalServer) -> None:
    assert fetch_rates().source.startswith("Modal's price list of 2026")
    server.plane.rates = {"cpu_core_hour": "0.05", "memory_gib_hour": "0.008", "gpu_t4_hour": "0.60"}
    rates = fetch_rates()
    assert rates.source.startswith("Modal's own rates of")
    assert rates.core == pytest.approx(0.05 / 3600)
    assert rates.gpus["T4"] == pytest.approx(0.60 / 3600)
    server.plane.rates = {"cpu_core_hour": "5000", "memory_gib_hour": "0.008"}
    assert fetch_rates().source.startswith("Modal's price list")


def test_a_sweep_that_goes_on_elsewhere_ends_its_containers_and_keeps_their_costs(
    server: ModalServer, launcher: ModalLauncher, tmp_path: Path
) -> None:
    workers = latest(list(launcher.launch(SWEEP, 2)))
    folder = SweepFolder(tmp_path / "made")
    options = RunOptions(workers=2, directory=tmp_path, launcher="local")
    folder.write_state(make_state(options=options, workers=tuple(workers), cost=Cost(rates=Rates().pack())))
    roster = Roster(Journal(folder), LocalLauncher(tmp_path))
    for _ in range(2):  # again, as by a second resume
        roster.end_strangers(tmp_path)
    state = folder.load_state()
    assert not any(launcher.is_alive(one) for one in workers)
    assert all(one.end for one in state.workers)
    assert all(call.cancelled for call in server.list_calls())
    assert state.cost is not None
    assert state.cost.dollars == state.cost.ended > 0
    roster.settle_costs()
    assert folder.load_state().cost == state.cost


def test_no_container_is_given_what_opens_prefect_s_server(
    server: ModalServer, launcher: ModalLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in (PREFECT_AUTH, PREFECT_SERVER_AUTH):
        monkeypatch.setenv(variable, "multistage:planted")
    list(launcher.launch(SWEEP, 1))
    uploads = [file.read_bytes() for file in server.plane.folder.rglob("*") if file.is_file()]
    assert SWEEP.encode() in server.wire.sent  # so what is not in there was not sent
    assert not any(b"planted" in content for content in (bytes(server.wire.sent), *uploads))
