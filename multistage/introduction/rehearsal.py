"""Whether the sweep that is proposed could begin, before anything is written."""

from pathlib import Path

from multistage.domain.proposal.draft import Proposal
from multistage.introduction.settings_target import SettingsTarget
from multistage.request.asked_sweep import read_parameters
from multistage.request.resolution import resolve_request
from multistage.request.sources.precedence import layer_settings
from multistage.request.sources.settings_file import parse_settings

UNKNOWN_METRIC = "metric"
"""Stands for one that nobody knows yet, and that is to be written into the file."""


def rehearse_sweep(proposal: Proposal, target: SettingsTarget, directory: Path) -> None:
    """Resolve the sweep that the settings file would say, as `plan` does, but without a server.

    Args:
        proposal: What is proposed.
        target: The file.
        directory: Where the sweep would be started.

    Raises:
        UsageError: It would be refused.
    """
    file = parse_settings(target.merge(proposal), target.path)
    given = {"config_id": proposal.config_id, "metric": proposal.metric or UNKNOWN_METRIC}
    gathered = layer_settings(given, directory, file, target.path)
    asked = read_parameters({"runs_dir": directory / "runs", **gathered.parameters}, directory)
    resolve_request(asked.request, asked.options.directory, runs_dir=asked.folder_path.parent)
