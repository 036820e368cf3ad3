import pytest

from multistage.errors import SetupError
from multistage.introduction.objections import check_run
from multistage.introduction.probe import ProbeResult


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (ProbeResult(setup_fault="It never reached wandb.init.", failed=True), "train.py: It never reached"),
        (
            ProbeResult(failed=True, said=("on its way", "ValueError: no")),
            "last lines are: on its way | ValueError: no",
        ),
        (ProbeResult(failed=True), "last lines are: nothing"),
        (
            ProbeResult(failed=True, said=("====",), reason="[rank0]: ValueError: no"),
            "train.py failed: [rank0]: ValueError: no\nIts last lines are: ====",
        ),
        (ProbeResult(failed=True, said=("HYDRA_FULL_ERROR=1",), reason="EOFError: EOF"), "asks for input"),
        (ProbeResult(failed=True, said=("EOFError: EOF when reading a line",)), "asks for input"),
        (ProbeResult(failed=True, said=("ModuleNotFoundError: No module named 'x'",)), "--python PATH"),
        (ProbeResult(reached=False), "has not reached wandb.init within 60 s"),
        (ProbeResult(ended=True, seconds=4), "logged nothing in 4 s"),
        (ProbeResult(ended=True, seconds=4, logged=3), "logged no number in 4 s"),
        (
            ProbeResult(),
            "logged nothing within 60 s. Log what it is judged by: wandb.log({'score': ...}). Or wait longer",
        ),
        (ProbeResult(rows=({"epoch": 1.0, "_step": 0.0},), ended=True), "logged only epoch in 0 s"),
    ],
)
def test_why_no_sweep_can_go_by_a_run(seen: ProbeResult, told: str) -> None:
    with pytest.raises(SetupError) as refused:
        check_run("train.py", seen, 60)
    assert told in str(refused.value)
    assert refused.value.exit_code == 1


def test_a_run_that_tells_a_metric_will_do() -> None:
    seen = ProbeResult(rows=({"score": 1.0},))
    assert check_run("train.py", seen, 60) is seen
