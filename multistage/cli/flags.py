"""The flags of a sweep, derived from its options, and the flow's parameters that they become."""

from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from cyclopts import CoercionError, Parameter

from multistage.cli.paths import TypedPath
from multistage.errors import UsageError
from multistage.launchers.registry import list_groups
from multistage.options.catalogue import FLOW_GROUPS, SINGLE_GROUPS, Groups, list_all, list_names
from multistage.options.option import Declared
from multistage.options.refusal import check_values, refuse_value, spell_flag

HINT = "See multistage-sweep --help."


@dataclass(frozen=True, kw_only=True)
class Flags:
    """The flags that were given; the others are None."""

    groups: ClassVar[Groups] = ()
    """The options behind them."""

    def names_file(self) -> bool:
        """Whether a sweep file was named, which may say the config id."""
        return any(getattr(self, name, None) is not None for name in list_names(is_content=True))

    def list_given(self, unchecked: Sequence[str] = ()) -> dict[str, Any]:
        """Return the flags that were given, by the name of the flow's parameter.

        Args:
            unchecked: Those whose bounds depend on the sweep that is taken up.

        Raises:
            UsageError: An option does not take its value.
        """
        given: dict[str, Any] = {}
        for option in _list_flags(self.groups):
            value = getattr(self, _name(option))
            if value is not None and option.prefix:
                given.setdefault(option.prefix, {})[option.name] = value
            elif value is not None:
                given[option.name] = value.absolute() if isinstance(value, Path) else value
        files = {name: given.pop(name) for name in list_names(is_content=True) if name in given}
        later = {name: given.pop(name) for name in unchecked if name in given}
        return check_values(given, spell_flag, HINT, self.groups) | later | files


def build_flags(name: str, help: str, groups: Groups) -> type[Flags]:
    """Build the flags of some options, which cyclopts takes apart again.

    Args:
        name: Of the model.
        help: What they are.
        groups: The options.
    """
    fields = [(_name(flag), _annotate(flag), None) for flag in _list_flags(groups)]
    own = {"__doc__": help, "__module__": __name__, "groups": groups}
    flags = make_dataclass(name, fields, bases=(Flags,), namespace=own, frozen=True, kw_only=True)
    return Parameter(name="*")(flags)


def _list_flags(groups: Groups) -> list[Declared]:
    return [one for one in list_all(groups) if one.option.flag]


def _name(option: Declared) -> str:
    return f"{option.prefix}_{option.name}" if option.prefix else option.name


def _annotate(option: Declared) -> Any:
    kind = TypedPath if option.option.is_content or option.kind is Path else option.kind
    told = f" [default: {option.usually}]" if option.usually else ""
    negative = None if option.option.negatable or option.kind not in (bool, tuple[str, ...]) else ()
    return Annotated[kind | None, Parameter(name=option.flag, help=option.help + told, negative=negative)]


if TYPE_CHECKING:

    class SweepFlags(Flags):
        """Stands for what `build_flags` gives."""

    class SingleFlags(Flags):
        """Likewise."""

else:
    ONE_STAGE = tuple(group for group in list_groups(SINGLE_GROUPS) if not group.stages_only)
    SweepFlags = build_flags("SweepFlags", "The sweep.", list_groups())
    """Of a sweep in stages. One that is not given leaves the default, or on a resume what the sweep began with."""
    SingleFlags = build_flags("SingleFlags", "How it is run.", ONE_STAGE)
    """Of a W&B sweep that is run as it is."""

NO_FLAGS, NO_SINGLE_FLAGS = SweepFlags(), SingleFlags()


def explain_flag(error: CoercionError) -> UsageError | None:
    """Say what an option does not take of which cyclopts cannot make what it takes; None where it is no option's."""
    typed = error.token.keyword if error.token else None
    option = next((flag for flag in _list_flags(list_groups(FLOW_GROUPS)) if flag.flag == typed), None)
    if option is None or error.token is None:
        return None
    return UsageError(refuse_value(option, error.token.value, option.flag), HINT)
