"""What a container on Modal is assumed to cost: a dated table, and Modal's own prices as far as it tells them."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import modal
import modal.exception as refusals
from pydantic import Field

from multistage.domain.model import Model
from multistage.domain.workers.cost import Prices
from multistage.options.modal import Resources, name_gpu

GRACE = 60.0
"""Seconds that a container may take beyond its timeout to start and to leave; they are paid for too."""

GPU_PRICES: Mapping[str, float] = {
    "T4": 0.000164,
    "L4": 0.000222,
    "A10": 0.000306,
    "L40S": 0.000542,
    "A100-40GB": 0.000583,
    "A100-80GB": 0.000694,
    "H100": 0.001097,
    "H200": 0.001261,
}
"""Dollars a second, by Modal's price list of 2026-07-01."""

BROAD_REGION, NARROW_REGION = 1.5, 1.75
"""By so many times a container costs more where its region is chosen, such as ``us`` or ``us-east``; by Modal's
guide on regions, of the same date."""


class Rates(Model):
    """Modal's prices, in dollars a second."""

    core: float = 0.0000131
    gib: float = 0.00000222
    gpus: Mapping[str, float] = Field(default_factory=lambda: dict(GPU_PRICES))
    source: str = "Modal's price list of 2026-07-01"

    def price(self, resources: Resources) -> float:
        """Price a container; dollars a second."""
        total = resources.cpu * self.core + resources.memory * self.gib
        if resources.gpu is not None:
            name, count = name_gpu(resources.gpu)
            total += count * self.gpus[name]
        if resources.region is not None:
            total *= NARROW_REGION if "-" in resources.region else BROAD_REGION
        return total

    def pack(self) -> Prices:
        """Return them as the sweep's state keeps them."""
        return Prices(source=self.source, details=self.model_dump(mode="json", exclude={"source"}))

    @classmethod
    def unpack(cls, prices: Prices | None) -> "Rates":
        """Read them from the sweep's state; the table where it has none."""
        own: dict[str, Any] = {} if prices is None else {**prices.details, "source": prices.source}
        return cls.model_validate(own)


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
