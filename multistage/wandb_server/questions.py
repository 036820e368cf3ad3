"""GraphQL over HTTP: queries are answered beside the desk, mutations take their turn at it."""

from graphql import GraphQLError
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from multistage.wandb_server.bodies import dump_answer, parse_body, read_body
from multistage.wandb_server.context import Request, State
from multistage.wandb_server.executor import Answer, Executor
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.searches import warm_plans
from multistage.wandb_server.worker_scope import WORKER

MAX_BODY = 20_000_000


async def answer_question(http: HttpRequest, state: State, executor: Executor) -> Response:
    """Answer one request to ``/graphql``."""
    body = await parse_body(state.desk, await read_body(http, MAX_BODY))
    query, variables = body.get("query"), body.get("variables") or {}
    operation = body.get("operationName")
    if not isinstance(query, str) or not isinstance(variables, dict) or not isinstance(operation, str | None):
        raise RefusedError("A GraphQL request needs a query, and an object of variables.", 400)
    try:
        known = executor.recall(query, operation)
        question = await state.desk.look(executor.prepare, query, operation) if known is None else known
    except GraphQLError as error:
        return JSONResponse({"errors": [error.formatted]}, 400)
    if "upsertSweep" in query:
        await state.desk.look(warm_plans, variables)
    base_url, worker = str(http.base_url).rstrip("/"), http.scope.get(WORKER)
    if question.writes:
        return _render(
            await state.desk.take(executor.execute, question, variables, Request(state, base_url, worker=worker))
        )

    def read() -> Response:
        with state.store.snapshot() as reader:
            answer = executor.execute(question, variables, Request(state, base_url, reader, worker))
        assert isinstance(answer, Answer)  # noqa: S101 - no field of a query waits
        return _render(answer)

    return await state.desk.look(read)


def _render(answer: Answer) -> Response:
    return Response(dump_answer(answer.body), answer.status, media_type="application/json")
