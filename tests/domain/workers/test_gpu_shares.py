"""Which GPUs a worker gets, and more than a machine has."""

import pytest

from multistage.domain.workers.gpu_shares import GpuShare, check_share, choose_gpus, share_gpus, split_gpu
from multistage.errors import UsageError


@pytest.mark.parametrize(
    ("per_run", "share", "workers"),
    [(1, GpuShare(each=1), 4), (2.0, GpuShare(each=2), 2), (3, GpuShare(each=3), 1), (5, GpuShare(each=5), 0),
     (0.5, GpuShare(each=1, sharers=2), 8), (0.1, GpuShare(each=1, sharers=10), 40),
     (0.3, GpuShare(each=1, sharers=3), 12)],
)  # fmt: skip
def test_a_share_is_whole_gpus_or_a_part_of_one(per_run: float, share: GpuShare, workers: int) -> None:
    assert split_gpu(per_run) == share
    assert share.count_workers(4) == workers


@pytest.mark.parametrize("per_run", [1.5, -1, 0, float("nan"), float("inf")])
def test_other_numbers_are_no_share(per_run: float) -> None:
    with pytest.raises(UsageError, match="--gpus-per-run cannot be"):
        split_gpu(per_run)


def test_by_default_all_are_dealt_out() -> None:
    assert [share_gpus(4, workers) for workers in (1, 2, 3, 4, 5, 8)] == [
        GpuShare(each=4), GpuShare(each=2), GpuShare(each=1), GpuShare(each=1),
        GpuShare(each=1, sharers=2), GpuShare(each=1, sharers=2),
    ]  # fmt: skip


def test_a_new_worker_gets_what_no_living_one_has() -> None:
    whole, half, two = GpuShare(each=1), GpuShare(each=1, sharers=2), GpuShare(each=2)
    assert choose_gpus("0123", whole, []) == ("0",)
    assert choose_gpus("01", whole, [("1",)]) == ("0",)
    assert choose_gpus("01", whole, [("1",), ("0",)]) is None
    assert choose_gpus("01", half, [("0",), ("0",), ("1",)]) == ("1",)
    assert choose_gpus("01", half, [("0",)]) == ("1",), "the freer one first"
    assert choose_gpus("0123", two, [("1", "2")]) == ("0", "3")
    assert choose_gpus("0123", two, [("1", "2"), ("3",)]) is None
    assert choose_gpus("01", whole, [], {"0"}) == ("1",), "a dead worker's training may be on it"
    assert choose_gpus("01", whole, [("1",)], {"0"}) == ("0",), "but nobody waits for that"


@pytest.mark.parametrize(
    ("gpus", "per_run", "workers", "words", "remedy"),
    [
        (2, 3, None, "2 GPUs were found, and --gpus-per-run asks for 3", "--gpus-per-run 2"),
        (1, 2, None, "1 GPU was found", "--gpus-per-run 1"),
        (0, 1, None, "No GPU was found", "0"),
        (
            2,
            0.5,
            5,
            "2 GPUs were found, which are enough for 4 workers with --gpus-per-run 0.5, not for 5",
            "--workers 4",
        ),
        (2, 1, 3, "are enough for 2 workers", "--workers 2"),
    ],
)
def test_what_is_too_much_is_refused(gpus: int, per_run: float, workers: int | None, words: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        check_share(gpus, per_run, workers)
    assert remedy in refused.value.hint


def test_what_suffices_is_taken() -> None:
    check_share(2, 0.5, 4)
    check_share(4, 2)
