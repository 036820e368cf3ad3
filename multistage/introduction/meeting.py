"""How a script is got to know: its help, its text, a run of it, and, where those leave it open, what it takes."""

import math
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from multistage.domain.proposal.calling import (
    OPTION_STYLES,
    Calling,
    Invocation,
    call_by_options,
    flatten_values,
    read_json_word,
)
from multistage.domain.proposal.draft import Proposal, Sighting, draft_proposal, propose_candidates
from multistage.domain.proposal.logged_metric import has_seen_enough
from multistage.domain.proposal.pace import count_workers, estimate_pace, find_length, join_names
from multistage.domain.proposal.ranges import guess_usual
from multistage.domain.proposal.script_options import ScriptOption, merge_options, read_help, read_hydra_config
from multistage.domain.proposal.script_source import ScriptSource, read_source
from multistage.domain.runs.results import Config, Value
from multistage.domain.sweep.plan import RunRequest
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.workers.styles import PROGRAM_MACRO
from multistage.errors import SetupError, UsageError
from multistage.introduction.command_words import read_words
from multistage.introduction.init_request import InitRequest
from multistage.introduction.objections import check_run
from multistage.introduction.past_run import read_past_run
from multistage.introduction.probe import Probe, ProbeResult
from multistage.introduction.script_help import ask_help
from multistage.launchers.registry import find_kind
from multistage.request.subject.programs import find_file
from multistage.services import ensure_wandb_server
from multistage.settings import Settings
from multistage.wandb_client.connection import Connection
from multistage.wandb_server.nodes import DEFAULT_ENTITY
from multistage.worker.interpreter import Interpreter, inspect_interpreter

PROJECT = "init"
"""Where the runs are kept by which scripts are got to know."""
SILENT_LIMIT = 10.0
"""Seconds for ``--help`` of a script that seems to take no words: it may train instead."""
TRIED = ("configurator", "hydra")
"""Styles that are tried where nothing tells."""
TYPED: Mapping[str, str] = {"configurator": "--{}={}", "hydra": "{}={}"}
"""A parameter and its value in those."""

PACE_SHARE = 0.5
"""Share of its time that a run goes on where nothing tells how far it has come: a short one ends by itself."""
PACE_LEAST = 0.1
"""Share that it goes on in any case, since its beginning is no measure of the rest."""

Report = Callable[[str], None]
"""Says what is being done, in a few words."""


def meet_script(request: InitRequest, directory: Path, report: Report) -> Proposal:
    """Get to know a script, and propose a sweep of it.

    Args:
        request: What is asked for.
        directory: Where the script is started.
        report: Told what is being done.

    Raises:
        UsageError: There is no such script, or no such run.
        SetupError: The script fails, or says nothing that a sweep could go by.
    """
    words, past = request.words, None
    if request.from_run is not None:
        report(f"Reading the run {request.from_run}")
        past, origin = read_past_run(request.from_run)
        words = words or origin
    if not words:
        raise UsageError("No script was named.", "Write multistage-sweep init train.py, or init -- COMMAND.")
    invocation = read_words(words, directory, request.python)
    with tempfile.TemporaryDirectory(prefix="multistage-init-") as folder:
        script = _Script(request, invocation, directory, Path(folder), report)
        return script.propose(past)


class _Script:
    """A script that is being got to know.

    Args:
        request: What is asked for.
        invocation: How it is started.
        directory: Where.
        folder: For logs and W&B's files.
        report: Told what is being done.
    """

    def __init__(
        self, request: InitRequest, invocation: Invocation, directory: Path, folder: Path, report: Report
    ) -> None:
        self._request = request
        self._invocation = invocation
        self._directory = directory
        self._folder = folder
        self._report = report
        self._is_module = invocation.kind == "module"
        self._program = invocation.program if self._is_module else find_file(invocation.program, directory)
        python = invocation.python
        self._interpreter: Interpreter | None = inspect_interpreter(directory / python) if python else None
        self._connection: Connection | None = None
        self._notes: list[str] = []
        json_word = read_json_word(invocation.typed[-1], self._read_file) if invocation.typed else None
        self._json_style: str | None = json_word[0] if json_word else None
        self._json_values: dict[str, Any] = json_word[1] if json_word else {}
        if json_word is not None:
            self._invocation = invocation.model_copy(update={"typed": invocation.typed[:-1]})
        self._words = invocation.typed

    @property
    def name(self) -> str:
        """What to call the script."""
        return Path(self._invocation.program).name

    def propose(self, past: ProbeResult | None) -> Proposal:
        """Propose a sweep of it.

        Args:
            past: What a finished run of it says; None to run it now.
        """
        source = read_source(self._read_text())
        page = self._ask_help(source)
        options = merge_options(read_help(page), source.options)
        hydra_config = read_hydra_config(page)
        if hydra_config is None and "hydra" in source.styles:
            hydra_config = {}
        seen = check_run(self.name, past, self._request.limit) if past is not None else None
        if past is None and not self._request.no_run:
            seen = self._run(source)
        calling = self._find_calling(seen, options, source, hydra_config)
        if not propose_candidates(calling):
            raise SetupError(
                f"{self.name} reveals no hyperparameter: neither its config nor its options hold a number to search.",
                " ".join(("Log them: wandb.init(config=vars(args)).", *self._notes)),
            )
        return self._draft(calling, seen, options, source)

    def _draft(
        self, calling: Calling, seen: ProbeResult | None, options: Sequence[ScriptOption], source: ScriptSource
    ) -> Proposal:
        gpus = _choose_gpus(seen)
        requested = RunRequest(gpus_per_run=gpus)
        cores = find_kind(requested.launcher).count_workers(SweepRequest(config_id="x"), requested, is_bundled=False)
        peak = seen.peak if seen else None
        if seen is None:
            logs = f" Its source logs {join_names(source.logs)}." if source.logs else ""
            self._notes.append(f"Without a run, metric, pace and memory are not known.{logs}")
        elif not seen.whole:
            self._notes.append(
                "The run was ended early, so figures for a whole run are estimates; --whole waits for its end."
            )
        return draft_proposal(
            self._request.config_id or self._name_config(),
            self._invocation,
            calling,
            Sighting(**{name: getattr(seen, name) for name in Sighting.model_fields}) if seen else None,
            config=flatten_values(seen.config) if seen else {},
            options=options,
            workers=count_workers(cores, psutil.virtual_memory().total, peak),
            gpus_per_run=gpus,
            notes=self._notes,
        )

    def _name_config(self) -> str:
        parts = (self._directory.name or "sweep", self.name.rpartition(".")[2] if self._is_module else
                 Path(self.name).stem)  # fmt: skip
        return ":".join(re.sub(r"[^\w.-]+", "-", part).strip("-") or "sweep" for part in parts)

    def _run(self, source: ScriptSource) -> ProbeResult:
        """Run it as its user does; where it lacks values that it reads from W&B's config, give it some."""
        self._report(f"Running {self.name}")
        command = self._invocation.build_command(self._words)
        given = dict(self._request.baseline)
        first = self._probe(command, given)
        missing = [name for name, value in source.reads.items() if value is None and name not in first.config]
        if not first.failed or not missing or given.keys() >= set(missing):
            return check_run(self.name, first, self._request.limit)
        guessed = {name: guess_usual(name) for name in missing if name not in given}
        unknown = [name for name, value in guessed.items() if value is None]
        if unknown:
            raise SetupError(
                f"{self.name} reads {join_names(missing)} from wandb.config, which holds none of them by itself.",
                f"Say what is usual: {' '.join(f'--baseline {name}=VALUE' for name in missing)}.",
            )
        given |= {name: value for name, value in guessed.items() if value is not None}
        self._report(f"Running {self.name} again, with values for {join_names(missing)}")
        self._notes.append(
            f"{self.name} has no default values for {join_names(missing)}; they were guessed, and --baseline "
            "NAME=VALUE says others."
        )
        self._request = self._request.model_copy(update={"baseline": given})
        return check_run(self.name, self._probe(command, given), self._request.limit)

    def _probe(self, command: Sequence[str], values: Config, *, config_alone: bool = False) -> ProbeResult:
        """Run it once, until enough is known.

        Args:
            command: That starts it.
            values: What its run is given by W&B's config.
            config_alone: Whether its config is enough.
        """
        limit = math.inf if self._request.whole and not config_alone else self._request.limit
        with Probe(
            self._connect(), command, self._program, self._directory, self._folder, self._interpreter, values
        ) as probe:
            return probe.watch(limit, _has_config if config_alone else self._is_enough)

    def _is_enough(self, seen: ProbeResult) -> bool:
        """Return whether metric and pace are known; for the pace half of the time is waited at most."""
        if self._request.whole or not has_seen_enough(seen.rows):
            return False
        length = find_length(flatten_values(seen.config))
        pace = estimate_pace(seen.rows, seen.seconds, length, whole=False)
        trained = seen.seconds - seen.startup
        return trained > self._request.limit * (PACE_SHARE if pace is None else PACE_LEAST)

    def _find_calling(
        self,
        seen: ProbeResult | None,
        options: Sequence[ScriptOption],
        source: ScriptSource,
        hydra_config: Mapping[str, Any] | None,
    ) -> Calling:
        """Find out how it takes its parameters, and which it has."""
        config = flatten_values(seen.config if seen else {})
        if self._json_style is not None:
            values = {name: value for name, value in self._json_values.items() if isinstance(value, Value)}
            return Calling(style=self._json_style, usual=values, unmoved=frozenset(values))
        by_options = call_by_options(config, options)
        own = flatten_values(hydra_config or {})
        shown = {name: config.get(name, value) for name, value in own.items()} or config
        if self._request.style is not None:
            usual = by_options.usual if self._request.style in OPTION_STYLES else {}
            return Calling(style=self._request.style, usual=usual or shown | self._list_read(source))
        if hydra_config is not None:
            return Calling(style="hydra", usual=shown)
        if any(candidate.swept for candidate in propose_candidates(by_options)):
            return by_options
        if not (options or source.reads or self._request.from_run or self._request.no_run):
            tried = self._try_styles(config, source)
            if tried is not None:
                return Calling(style=tried, usual=config)
        if not source.reads:
            self._notes.append(
                f"Nothing shows how {self.name} takes its parameters: it gets them by wandb.config alone; --style NAME "
                "sets another way."
            )
        return Calling(
            style="config", usual=config | self._list_read(source), unmoved=frozenset(self._request.baseline)
        )

    def _list_read(self, source: ScriptSource) -> dict[str, Value]:
        """List what it reads from W&B's config, with values."""
        own = {name: value for name, value in source.reads.items() if value is not None}
        return own | self._request.baseline

    def _try_styles(self, config: Config, source: ScriptSource) -> str | None:
        """Try how it takes a parameter, by runs that end once they report their config; None where none works."""
        usual = Calling(style="config", usual=config)
        changed = next((candidate for candidate in propose_candidates(usual) if candidate.swept), None)
        if changed is None:
            return None
        value = next(one for one in map(changed.parameter.from_unit, (0.3, 0.7)) if one != changed.usual)
        for style in sorted(TRIED, key=lambda one: one not in source.styles):
            word = TYPED[style].format(changed.name, value)
            self._report(f"Trying whether {self.name} takes {word}")
            seen = self._probe(self._invocation.build_command((*self._words, word)), {}, config_alone=True)
            if flatten_values(seen.config).get(changed.name) == value:
                return style
        return None

    def _ask_help(self, source: ScriptSource) -> str:
        self._report(f"Asking {self.name} for its options")
        limit = self._request.limit if source.takes_words else min(self._request.limit, SILENT_LIMIT)
        python = str(self._interpreter.path) if self._interpreter else sys.executable
        macros = {"${interpreter}": python, PROGRAM_MACRO: self._program}
        words = [macros.get(word, word) for word in self._invocation.build_command(self._words) if word != "${env}"]
        page = ask_help(words, self._directory, self._folder / "bin", self._interpreter, limit)
        if page is None and source.takes_words:
            self._notes.append(
                f"{self.name} has not answered --help within {limit:g} s; --init-timeout 300 waits longer."
            )
        return page or ""

    def _connect(self) -> Connection:
        if self._connection is None:
            server = ensure_wandb_server(Settings())
            self._connection = Connection(server.url, server.key, DEFAULT_ENTITY, PROJECT)
        return self._connection

    def _read_text(self) -> str:
        """Read the script's text; empty where it is not found."""
        if not self._is_module:
            path = Path(self._program)
            return self._read_file(str(path / "__main__.py" if path.is_dir() else path)) or ""
        place = Path(*self._invocation.program.split("."))
        return self._read_file(f"{place}.py") or self._read_file(str(place / "__main__.py")) or ""

    def _read_file(self, name: str) -> str | None:
        try:
            return (self._directory / name).read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            return None


def _has_config(seen: ProbeResult) -> bool:
    return bool(seen.config)


def _choose_gpus(seen: ProbeResult | None) -> float | None:
    """Choose how many GPUs a training is given, where that is another number than the usual one."""
    if seen is None or seen.gpus is None or seen.gpus == 1:
        return None
    return float(seen.gpus)
