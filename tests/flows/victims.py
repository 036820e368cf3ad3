"""The processes of a sweep that something may kill, found from outside as an operator would find them."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

import psutil

from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.local.records import read_local
from multistage.launchers.local.worker_processes import find_processes, find_worker
from multistage.services.embedded import find_wandb_server
from multistage.services.prefect import build_prefect_service
from multistage.services.service_processes import find_session
from multistage.settings import Settings
from multistage.store.sweep_folder import SweepFolder

Victim = Literal["orchestrator", "worker", "training", "embedded server", "prefect server"]
VICTIMS: tuple[Victim, ...] = get_args(Victim)


def list_workers(folder: SweepFolder) -> list[psutil.Process]:
    """List a sweep's workers on this machine, with everything below them."""
    return find_processes(_read_workers(folder))


def list_trainings(folder: SweepFolder) -> list[psutil.Process]:
    """List the processes below a sweep's workers that lead a process group: the trainings."""
    records = _read_workers(folder)
    workers = {read_local(one).pid for one in records}
    found = []
    for process in find_processes(records):
        with suppress(psutil.Error, OSError):
            if process.pid not in workers and os.getpgid(process.pid) == process.pid and process.name() != "wandb-core":
                found.append(process)
    return found


def kill_victim(victim: Victim, services: Path, folder: Path) -> bool:
    """Kill one such process with SIGKILL; tells whether there was one."""
    targets: list[psutil.Process] = []
    settings = Settings(home=services)
    sweep = SweepFolder(folder)
    match victim:
        case "orchestrator":
            driver = sweep.find_driver()
            targets = [psutil.Process(driver)] if driver else []
        case "worker":
            targets = [process for one in _read_workers(sweep) if (process := find_worker(one))][:1]
        case "training":
            targets = list_trainings(sweep)[:1]
        case "embedded server":
            server = find_wandb_server(settings)
            targets = [psutil.Process(server.pid)] if server else []
        case "prefect server":
            record = build_prefect_service(settings).read_record()
            targets = find_session(record) if record else []
    for process in targets:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    return bool(targets)


def _read_workers(folder: SweepFolder) -> list[WorkerRecord]:
    state = folder.read_state()
    return list(state.workers) if state else []
