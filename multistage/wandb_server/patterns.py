"""Regular expressions from requests."""

from functools import lru_cache
from typing import Any

from pydantic_core import SchemaValidator, core_schema


@lru_cache(maxsize=64)
def compile_pattern(pattern: str) -> SchemaValidator:
    """Compile a pattern with pydantic's engine, which matches in linear time: no pattern can hang the server.

    Raises:
        pydantic_core.SchemaError: It is not a regular expression of that engine.
    """
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def matches(pattern: str, value: Any) -> bool:
    """SQL's ``value REGEXP pattern``: whether the pattern occurs anywhere in the text."""
    return isinstance(value, str) and compile_pattern(pattern).isinstance_python(value)
