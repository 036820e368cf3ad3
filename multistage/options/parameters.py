"""The parameters of a flow: its signature and the part of its docstring that tells them. Prefect makes a form of both.

The few that most sweeps name come first, the rest follow by group. All may be left out, save what the flow needs.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from inspect import Parameter, Signature, cleandoc, signature
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_origin

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema, create_model
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema

from multistage.options.catalogue import Groups
from multistage.options.option import Declared, list_options, list_parts
from multistage.options.running import ForeignOptions

NOTHING: Any = SkipJsonSchema[None]  # type: ignore[misc]
"""None, of which a form knows nothing."""

Function = TypeVar("Function", bound=Callable[..., Any])


NO_NAMES: Mapping[str, Sequence[str]] = MappingProxyType({})


class LeftOut:
    """Marks a parameter that may be left out: its schema names no default.

    A form fills the default in; with null it would send what the schema's plain type refuses.
    """

    class _Schema(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            if key != "default":
                super().__setitem__(key, value)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema that takes no default."""
        return self._Schema(handler(core))


def take_options(
    groups: Groups, needed: Collection[str], known: Mapping[str, Sequence[str]] = NO_NAMES
) -> Callable[[Function], Function]:
    """Set the options as the parameters of a function of ``**parameters``, and their descriptions in its docstring.

    Args:
        groups: The options.
        needed: Those that must be given.
        known: What a form offers for options that are texts to this package, since others may bring more.
    """

    def dress(function: Function) -> Function:
        options = sorted(list_options(*groups, ForeignOptions), key=lambda one: _rank(one, needed))
        parameters = [_make_parameter(option, option.name in needed, known.get(option.name)) for option in options]
        returned = signature(function, eval_str=True).return_annotation
        function.__signature__ = Signature(parameters, return_annotation=returned)  # type: ignore[attr-defined]
        described = "\n".join(f"    {option.name}: {_describe(option)}" for option in options)
        function.__doc__ = f"{cleandoc(function.__doc__ or '')}\n\nArgs:\n{described}\n"
        return function

    return dress


def _rank(option: Declared, needed: Collection[str]) -> tuple[bool, bool]:
    return option.name not in needed, not option.option.common


def _make_parameter(option: Declared, is_needed: bool, known: Sequence[str] | None) -> Parameter:
    title = option.name if option.option.common else f"{option.group.mark}: {option.name}"
    default = None if option.option.flag or option.field.is_required() else option.default
    if is_needed or default is not None:
        default = Parameter.empty if is_needed else default
        return Parameter(option.name, Parameter.KEYWORD_ONLY, default=default, annotation=_bound(option))
    annotation: Any = Annotated[_leave_out(option, known), Field(json_schema_extra={"title": title})]
    return Parameter(option.name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _leave_out(option: Declared, known: Sequence[str] | None = None) -> Any:
    kind = _bound(option)
    if known:
        kind = Annotated[kind, WithJsonSchema({"type": "string", "enum": list(known)})]
    return Annotated[kind | NOTHING, LeftOut()]


def _bound(option: Declared) -> Any:
    """Return an option's type as a form knows it, with its bounds."""
    if option.parts is not None:
        parts = {
            part.name: (_leave_out(part), Field(default=None, description=part.help)) for part in list_parts(option)
        }
        return create_model(option.parts.__name__, __config__=ConfigDict(extra="forbid"), **parts)  # type: ignore[call-overload]
    kind = list[str] if get_origin(option.kind) is tuple else option.kind
    return Annotated[kind, Field(**option.bounds)] if option.bounds else kind


def _describe(option: Declared) -> str:
    """Say in a line what an option is for and what holds without it."""
    return f"{option.help} Default: {option.usually}." if option.usually else option.help
