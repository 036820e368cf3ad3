"""The methods that are billed by training time, by their ids."""

from search_lengths import RULES, Lengths, read_rules
from search_pruners import PRUNERS
from search_seconds import ReplicatingStepper, Stepper

from multistage.domain.space.search_space import SearchSpace

OWN = "multistage/"


def has_lengths(name: str) -> bool:
    """Whether a method trains by levels: a peer of `PRUNERS`, or the product's search with `RULES`.

    Raises:
        ValueError: Its rules are none.
    """
    if name.startswith(OWN) and name.removeprefix(OWN).partition(":")[0] in RULES:
        read_rules(name.removeprefix(OWN))
        return True
    return name.removesuffix("+rep") in PRUNERS


def make_stepper(name: str, space: SearchSpace, budget: int, seed: int) -> Stepper:
    """A method by its id; with ``+rep`` a peer's last share of the budget trains its best configs again.

    Args:
        name: The id.
        space: What is searched.
        budget: Whole trainings' worth of time.
        seed: Of the method's draws.

    Raises:
        ModuleNotFoundError: Its package is not installed.
    """
    if name.startswith(OWN):
        return Lengths(space, budget, seed, read_rules(name.removeprefix(OWN)))
    stepper = PRUNERS[name.removesuffix("+rep")](space, budget, seed)
    return ReplicatingStepper(stepper) if name.endswith("+rep") else stepper
