"""Whoever answers a field takes all the arguments that the schema lets clients send."""

import inspect

from multistage.wandb_server.executor import Executor
from multistage.wandb_server.web_app import RESOLVERS


def test_every_resolver_takes_what_the_schema_offers() -> None:
    known = Executor({}).schema.type_map
    for table in RESOLVERS:
        for kind, fields in table.items():
            for name, resolver in fields.items():
                parameters = inspect.signature(resolver).parameters.values()
                taken = {one.name for one in parameters}
                takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
                offered = set(known[kind].fields[name].args)  # type: ignore[attr-defined]
                assert takes_all or offered <= taken, f"{kind}.{name} does not take {offered - taken}"
