"""The grid on which a training logs: the same for every config, whatever its update length."""


class RowGrid:
    """Decides when a row is due.

    W&B's hyperband counts rows and not steps, so a row must mean the same amount of training in every run.

    Args:
        total: Length of the training, in steps.
        rows: Rows over that length; at most ``total``.
    """

    def __init__(self, total: int, rows: int) -> None:
        self._total = total
        self._rows = rows
        self._passed = 0

    def pass_rows(self, steps: int) -> range:
        """The numbers (from 1) of the rows that became due since the last call.

        Args:
            steps: Steps done by now.
        """
        first = self._passed + 1
        self._passed = max(self._passed, min(steps, self._total) * self._rows // self._total)
        return range(first, self._passed + 1)

    def locate(self, row: int) -> int:
        """The step at which a row is due, rounded up to a whole one."""
        return -(-row * self._total // self._rows)
