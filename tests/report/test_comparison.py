"""The comparison's table says what was measured, and how sure it is."""

from rich.console import Console

from multistage.domain.runs.comparison import Comparison, MethodResult, average, measure_gain
from multistage.report.comparison import draw_comparison


def show(values: dict[str, tuple[float | None, ...]]) -> str:
    staged = values["multi-stage"]
    results = [
        MethodResult.model_validate(
            {
                "method": method, "search": "one stage", "runs": 40, "best": 0.99, "config": {"lr": 0.001},
                "values": found, "mean": average([value for value in found if value is not None]),
                "gain": None if method == "multi-stage" else measure_gain(staged, found, "maximize"),
            }
        )
        for method, found in values.items()
    ]  # fmt: skip
    comparison = Comparison(
        name="s", metric="val/accuracy", goal="maximize", budget=40, seeds=(1, 2), results=tuple(results)
    )
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(draw_comparison(comparison))
    return captured.get()


def test_means_and_differences_have_intervals() -> None:
    shown = show({"random": (0.7, 0.72), "bayes": (0.9, 0.95), "multi-stage": (0.94, 0.96)})
    assert "40 runs each" in shown
    assert "0.71 (0.58294 to 0.83706)" in shown
    assert "better by 0.24 (0.24 to 0.24)" in shown
    assert "better by 0.025 (-0.16559 to 0.21559, or as good)" in shown
    assert 'bayes: {"lr": 0.001}' in shown
    assert "maximum over noise" in shown


def test_winners_that_fail_are_said_to() -> None:
    shown = show({"random": (None, None), "bayes": (0.9, None), "multi-stage": (0.8, 0.9)})
    assert "every run failed" in shown
    assert "0.9 (1 run)" in shown
    assert "worse by 0.1 " in shown
