"""What a user asks for, as flat and textual as flags and a deployment's parameters are."""

from collections.abc import Mapping
from typing import Annotated, Any, get_origin

from pydantic import BeforeValidator, Field, model_validator

from multistage.domain.runs.values import write_value
from multistage.domain.sweep.plan import AdoptedSweep
from multistage.domain.sweep.sweep_config import make_plain
from multistage.options.option import Options
from multistage.options.search import MetricOptions, ProgramOptions, SearchOptions, TrackerOptions


def write_assignments(given: Any) -> Any:
    """Write a table of values as ``key=value`` texts; leaves everything else as it is."""
    if not isinstance(given, Mapping):
        return given
    return tuple(
        f"{key}={write_value(value) if isinstance(value, str | bool | int | float) else value}"
        for key, value in given.items()
    )


class TableReader(Options):
    """Takes tables where an option is ``key=value`` texts."""

    @model_validator(mode="before")
    @classmethod
    def _write_tables(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        paired = {name for name, field in cls.model_fields.items() if get_origin(field.annotation) is tuple}
        return {name: write_assignments(value) if name in paired else value for name, value in given.items()}


class SweepRequest(TableReader, SearchOptions, MetricOptions, ProgramOptions, TrackerOptions):
    """The part of a request that `multistage.request.resolution.resolve_request` turns into a sweep's settings."""

    config_id: str
    budget: Annotated[int, Field(ge=1)] = SearchOptions.model_fields["budget"].default
    """Training runs in all; of a sweep that is run as it is, any number."""
    sweep_file: Annotated[dict[str, Any] | None, BeforeValidator(make_plain)] = None
    """Content of a W&B sweep file, which says what ``params`` would; one of the two is needed."""
    single: bool = False
    """Whether the file's sweep is run as it is, in one stage."""
    adopted: AdoptedSweep | None = None
    """The sweep that is gone on with, where there is one already; ``sweep_file`` is its config then."""
