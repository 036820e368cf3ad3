"""Every searcher that comes with the project keeps the promises that strangers' have to keep."""

import pytest

from multistage.search.conformance import CASES, Case
from multistage.search.registry import BUILT_IN, WITH_VARIANTS

SEARCHES = [*(name for name in BUILT_IN if name not in WITH_VARIANTS), "optuna:tpe", "optuna:random"]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("search", [*SEARCHES, pytest.param("optuna:gp", marks=pytest.mark.slow)])
def test_a_searcher_keeps_its_promises(search: str, case: Case) -> None:
    case.check(search)
