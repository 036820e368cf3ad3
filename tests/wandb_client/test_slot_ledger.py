"""Which run is which slot's, on disk."""

from pathlib import Path

import pytest

from multistage.domain.runs.slots import SlotName
from multistage.errors import FolderError
from multistage.wandb_client.slot_ledger import SlotLedger

FIRST, SECOND = SlotName(stage=1, index=0), SlotName(stage=1, index=1, attempt=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "archive" / "abc.slots.jsonl"


def test_a_slot_is_written_down_before_its_run_is_known(path: Path) -> None:
    ledger = SlotLedger(path)
    ledger.intend(FIRST, {"lr": 0.1}, 7)
    killed = SlotLedger(path)
    assert killed.open_entry is not None
    assert (killed.open_entry.slot, killed.open_entry.config, killed.open_entry.seed) == (FIRST, {"lr": 0.1}, 7)
    assert killed.has(FIRST)
    assert not killed.has(SECOND)
    killed.assign("r1")
    again = SlotLedger(path)
    assert again.open_entry is None
    found = again.find("r1")
    assert found is not None
    assert (found.slot, found.config, found.seed) == (FIRST, {"lr": 0.1}, 7)
    assert again.find("r2") is None


def test_a_slot_without_a_run_keeps_the_next_one_out(path: Path) -> None:
    ledger = SlotLedger(path)
    with pytest.raises(ValueError, match="no slot waits for run r1"):
        ledger.assign("r1")
    ledger.intend(FIRST, {}, None)
    with pytest.raises(ValueError, match="s1-0000 has no run yet"):
        ledger.intend(SECOND, {}, None)


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_a_kill_has_cut_off_was_never_written(path: Path, cut: int) -> None:
    ledger = SlotLedger(path)
    ledger.intend(FIRST, {"lr": 0.1}, None)
    ledger.assign("r1")
    ledger.intend(SECOND, {"lr": 0.2}, None)
    path.write_bytes(path.read_bytes()[:-cut])
    assert SlotLedger(path).open_entry is None, "reading it changes nothing"
    after = SlotLedger(path)
    after.intend(SECOND, {"lr": 0.2}, None)
    after.assign("r2")
    assert [entry.run_id for entry in SlotLedger(path).entries] == ["r1", "r2"]


def test_a_damaged_ledger_is_refused_with_a_remedy(path: Path) -> None:
    SlotLedger(path).intend(FIRST, {}, None)
    path.write_text("{}\n" + path.read_text())
    with pytest.raises(FolderError, match="is damaged") as caught:
        SlotLedger(path)
    assert "delete it" in caught.value.hint
