"""What runs logged, as curves: thin enough to draw, true to their peaks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from multistage.wandb_server.history import Stream, count_lines
from multistage.wandb_server.pages.listing import flatten, parse
from multistage.wandb_server.store import Reader

MAX_POINTS = 800
"""Points of a curve in one answer."""
MAX_LINES = 50_000
"""Rows of a run that one answer looks at; of more, every second, third..."""
MAX_SERIES = 300


@dataclass
class Series:
    """One metric of one run: which rows hold it, and its values."""

    rows: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def thin(self, steps: Sequence[float], times: Sequence[float | None]) -> dict[str, Any]:
        """The points to draw, with the rows' steps and times."""
        kept = thin(self.values, MAX_POINTS)
        return {
            "steps": [steps[self.rows[place]] for place in kept],
            "times": [times[self.rows[place]] for place in kept],
            "values": [self.values[place] for place in kept],
        }


def thin(values: Sequence[float], most: int) -> list[int]:
    """The places of the values to draw: all, or the lowest and the highest of equal stretches, and both ends."""
    count = len(values)
    if count <= most:
        return list(range(count))
    kept = {0, count - 1}
    buckets = max(1, most // 2 - 1)
    for bucket in range(buckets):
        stretch = range(bucket * count // buckets, (bucket + 1) * count // buckets)
        kept.add(min(stretch, key=values.__getitem__))
        kept.add(max(stretch, key=values.__getitem__))
    return sorted(kept)


def read_series(store: Reader, run_id: int, stream: Stream, first: int) -> dict[str, Any]:
    """Every number that a run logged from a row on.

    Args:
        store: Where the rows are.
        run_id: The run's row.
        stream: History, or the system's metrics.
        first: Number of the first row; an earlier answer's ``next``.

    Returns:
        ``next``, and ``series``: for each metric its ``steps``, ``times`` (seconds) and ``values``.
    """
    end = count_lines(store, run_id, stream)
    stride = max(1, math.ceil((end - first) / MAX_LINES))
    # Of very many rows some are taken as if by lot: a metric that every hundredth row holds is thinned like all.
    lines = store.execute(
        "SELECT line, step, content FROM lines WHERE run_id = ? AND stream = ? AND line >= ? AND line < ? "
        "AND (((line * 2654435761) >> 8) % ? = 0 OR line = ?) ORDER BY line",
        (run_id, stream, first, end, stride, end - 1),
    )
    steps: list[float] = []
    times: list[float | None] = []
    series: dict[str, Series] = {}
    for place, (line, step, content) in enumerate(lines):
        row = parse(content)
        steps.append(line if step is None else step)
        times.append(_read_time(row.get("_runtime")))
        for key, value in row.items() if _is_flat(row) else flatten(row):
            if key[:1] == "_" or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            one = series.get(key)
            if one is None:
                if len(series) >= MAX_SERIES:
                    continue
                one = series[key] = Series()
            one.rows.append(place)
            one.values.append(value)
    return {"next": end, "series": {key: one.thin(steps, times) for key, one in series.items()}}


def _is_flat(row: dict[str, Any]) -> bool:
    return not any(isinstance(value, dict) for value in row.values())


def _read_time(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None


def read_metric_curves(store: Reader, project_id: int, names: Iterable[str], metric: str) -> dict[str, Any]:
    """One metric of several runs, by the runs' names."""
    curves = {}
    for name in names:
        run_id = store.value("SELECT id FROM runs WHERE project_id = ? AND name = ?", (project_id, name))
        if run_id is not None:
            curves[name] = _read_curve(store, run_id, metric)
    return curves


def _read_curve(store: Reader, run_id: int, metric: str) -> dict[str, Any]:
    # The database takes the value out of the row: a tenth of the time of parsing it here.
    flat = '$."' + metric.replace('"', "") + '"'
    nested = "$" + "".join(f'."{part}"' for part in metric.replace('"', "").split("."))
    found = store.execute(
        "SELECT coalesce(step, line), json_extract(content, '$._runtime'), "
        "coalesce(json_extract(content, ?), json_extract(content, ?)) AS value "
        "FROM lines WHERE run_id = ? AND stream = ? AND typeof(value) IN ('integer', 'real') ORDER BY line",
        (flat, nested, run_id, Stream.HISTORY),
    )
    series = Series()
    steps: list[float] = []
    times: list[float | None] = []
    for place, (step, time, value) in enumerate(found):
        steps.append(step)
        times.append(_read_time(time))
        series.rows.append(place)
        series.values.append(value)
    return series.thin(steps, times)
