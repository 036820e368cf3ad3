"""The table of what differs, from two reports as pytest writes them."""

from pathlib import Path

from tests.contract.comparison import Outcome, find_differences, read_outcomes, write_table

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="tests.wandb_server.test_contract_runs" name="test_a[x|y]" />
<testcase classname="tests.wandb_server.test_contract_runs" name="test_b">
<failure message="AssertionError: assert 'a' | 'b'&#10;  more">the traceback</failure></testcase>
<testcase classname="tests.wandb_server.test_contract_runs" name="test_c"><skipped message="no" /></testcase>
<testcase classname="tests.wandb_server.test_contract_runs" name="test_d" />
<testcase classname="tests.wandb_server.test_contract_runs" name="test_d">
<error message="failed on teardown with &quot;x&quot;">the traceback</error></testcase>
</testsuite></testsuites>
"""


def test_outcomes_are_read_with_the_first_line_of_a_failure(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    assert read_outcomes(tmp_path / "report.xml") == {
        "test_contract_runs::test_a[x|y]": Outcome("passed"),
        "test_contract_runs::test_b": Outcome("failed", "AssertionError: assert 'a' | 'b'"),
        "test_contract_runs::test_c": Outcome("skipped", "no"),
        "test_contract_runs::test_d": Outcome("error", 'failed on teardown with "x"'),
    }


def test_rows_are_those_that_differ_and_the_others_are_counted() -> None:
    there = {"a": Outcome("passed"), "b": Outcome("failed", "x | y"), "c": Outcome("passed"), "e": Outcome("passed")}
    here = {"a": Outcome("passed"), "b": Outcome("passed"), "c": Outcome("failed", "z"), "d": Outcome("passed")}
    assert set(find_differences(there, here)) == {"b", "c", "d", "e"}
    assert write_table(there, here).splitlines() == [
        "| test | there | here | first line of the failure |",
        "|---|---|---|---|",
        "| b | failed | passed | x \\| y |",
        "| c | passed | failed | z |",
        "| e | passed | not run |  |",
        "| d | not run | passed |  |",
        "",
        "Alike: 1. Different: 4.",
    ]


def test_failures_on_both_sides_are_alike() -> None:
    both = {"a": Outcome("failed", "x")}
    assert write_table(both, {"a": Outcome("failed", "y")}) == "Alike: 1. Different: 0."
