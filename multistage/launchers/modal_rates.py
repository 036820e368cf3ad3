"""Modal's prices, as far as it tells them."""

import time
from collections.abc import Sequence

import modal
import modal.exception as refusals

from multistage.domain.resources import Rates


def fetch_rates() -> Rates:
    """Ask Modal for its prices; where it does not tell, the dated table stands.

    The names of its rates are not documented, so one is taken only where it names the resource and its value is within
    a factor of three of the table's, a second or an hour.
    """
    try:
        told = {key: float(value) for key, value in modal.Workspace.from_context().billing.rates().items()}
    except (refusals.Error, OSError, ValueError):
        return Rates()
    table = Rates()
    core = _find_rate(told, ("cpu",), table.core)
    gib = _find_rate(told, ("mem", "gib", "ram"), table.gib)
    gpus = {name: _find_rate(told, (name.lower().replace("-", ""),), price) for name, price in table.gpus.items()}
    if core is None or gib is None:
        return table
    found = {name: price for name, price in gpus.items() if price is not None}
    return Rates(
        core=core, gib=gib, gpus={**table.gpus, **found}, source=f"Modal's own rates of {time.strftime('%Y-%m-%d')}"
    )


def _find_rate(told: dict[str, float], words: Sequence[str], usual: float) -> float | None:
    for key, value in told.items():
        plain = "".join(letter for letter in key.lower() if letter.isalnum())
        if any(word in plain for word in words):
            for price in (value, value / 3600):
                if usual / 3 <= price <= usual * 3:
                    return price
    return None
