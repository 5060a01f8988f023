"""Problems: every error as ``application/problem+json`` (RFC 9457), built from the error tree."""

from __future__ import annotations

import json
import logging
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.texts import negotiate, texts
from pricing.errors import TarifaError

__all__ = [
    "CONDITIONAL",
    "CONFLICT",
    "MEDIA_TYPE",
    "PROBLEMS",
    "FieldProblem",
    "Problem",
    "answer_error",
    "problem_response",
    "problem_schemas",
]

MEDIA_TYPE = "application/problem+json"

_MOST_FIELDS = 100
_LOG = logging.getLogger("tarifa.problems")
_HTTP_CODES = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unsupported_media_type",
    421: "misdirected",
}


class FieldProblem(BaseModel):
    """One field of the request that is wrong."""

    pointer: str = Field(description="Where it stands, as a JSON pointer into the request.")
    detail: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """A failure, as RFC 9457 describes it."""

    type: str = Field(description="Stable identifier, `urn:tarifa:problem:` and the code.")
    title: str = Field(description="What kind of failure this is, in the reader's language.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What went wrong, naming the field.")
    code: str = Field(description="Stable code, for programs.")
    why: str = Field(default="", description="Why that is a problem.")
    todo: str = Field(default="", description="What to do about it.")
    errors: list[FieldProblem] = Field(default=[], description="The fields that are wrong.")


class _ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """Write JSON; half a surrogate pair, which no UTF-8 can hold, as the escape that it came as."""
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {}}}
    for status, text in (
        (400, "The body is no JSON that can be read."),
        (401, "Nobody knows who asks: the access key is missing or unknown."),
        (403, "Who asks may not do this."),
        (404, "There is no such thing."),
        (408, "The body takes longer than any honest request."),
        (413, "The body is longer than any honest request."),
        (415, "The body does not come as JSON."),
        (422, "The request is wrong or cannot be answered honestly."),
        (503, "The service cannot answer now."),
    )
}
"""Responses that every route may give, for OpenAPI. No model stands here: FastAPI would build a validator of
it for every status of every route, and none would ever validate anything (:func:`problem_schemas`)."""

CONDITIONAL: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {}}}
    for status, text in (
        (412, "What it is about has changed since it was looked at."),
        (428, "It is not said which version of it was looked at."),
    )
}
"""Further responses of routes that change what somebody has looked at."""


CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "A limit is reached, or it does not follow from what has happened.",
        "content": {MEDIA_TYPE: {}},
    }
}
"""Further response of routes that give or use what is limited."""


def problem_schemas() -> dict[str, Any]:
    """Return the JSON schemas of a problem and its parts, by name, as OpenAPI refers to them."""
    whole = Problem.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    return {**whole.pop("$defs"), Problem.__name__: whole}


def problem_response(request: Request, problem: Problem) -> Response:
    """Return a problem in the reader's language, as far as :meth:`api.texts.Texts.reworded` knows it."""
    language = negotiate(request.headers.get("accept-language"))
    known = texts(language)
    said = {name: known.reworded(getattr(problem, name)) for name in ("detail", "why", "todo")}
    title = known.text("problem", problem.title)
    body = problem.model_copy(update={"title": title, **said}).model_dump()
    return _ProblemResponse(body, problem.status, headers={"Content-Language": language})


async def answer_error(request: Request, error: Exception) -> Response:
    """Turn any exception of a route into a problem; what was not foreseen is logged and stays inside."""
    if isinstance(error, TarifaError):
        problem = _problem(error.code, error.status, error.what, why=error.why, todo=error.todo)
    elif isinstance(error, RequestValidationError):
        problem = _invalid(error)
    elif isinstance(error, HTTPException):
        problem = _of_http(request, error)
    else:
        _LOG.error("unexpected error", exc_info=error)
        problem = _problem("internal", 500, "Something failed that nobody foresaw; it was logged.")
    response = problem_response(request, problem)
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            response.headers["Allow"] = _allowed(request, error)
    return response


def _invalid(error: RequestValidationError) -> Problem:
    """Return the problem of a request whose fields are wrong, or whose body is no JSON at all."""
    broken = next((found for found in error.errors() if found["type"] == "json_invalid"), None)
    if broken is None:
        return _problem("validation", 422, "Some fields of the request are not valid.", fields=_fields(error))
    read, place = str(error.body), int(broken["loc"][-1])
    line, column = read.count("\n", 0, place) + 1, place - read.rfind("\n", 0, place)
    return _malformed(f"{broken['ctx']['error']}, line {line}, column {column} (character {place + 1})")


def _of_http(request: Request, error: HTTPException) -> Problem:
    cause, status = error.__cause__, error.status_code
    if status == 400 and isinstance(cause, UnicodeDecodeError):
        return _malformed(f"no UTF-8 at byte {cause.start + 1}")
    if status == 400 and isinstance(cause, RecursionError):
        return _malformed("nested too deeply")
    if status == 400 and isinstance(cause, ValueError):
        return _malformed("a number in it has too many digits")
    todo = f"Use {_allowed(request, error)}." if status == 405 else ""
    todo = "The routes are described at /openapi.json." if status == 404 else todo
    return _problem(_HTTP_CODES.get(status, "http"), status, str(error.detail), todo=todo)


def _malformed(what: str) -> Problem:
    return _problem(
        "malformed", 400, f"The body is no JSON that can be read: {what}.", todo="Send JSON in UTF-8."
    )


def _allowed(request: Request, error: HTTPException) -> str:
    """Return the methods that this path knows; a router tells only those of the first route that fits."""
    path = getattr(request.scope.get("route"), "path", "")
    described = sorted(method.upper() for method in request.app.openapi()["paths"].get(path, ()))
    return ", ".join(described) or (error.headers or {}).get("Allow", "")


def _problem(
    code: str,
    status: int,
    detail: str,
    *,
    why: str = "",
    todo: str = "",
    fields: list[FieldProblem] | None = None,
) -> Problem:
    return Problem(
        type=f"urn:tarifa:problem:{code}",
        title=code,
        status=status,
        detail=detail,
        code=code,
        why=why,
        todo=todo,
        errors=fields or [],
    )


def _fields(error: RequestValidationError) -> list[FieldProblem]:
    return [
        FieldProblem(pointer="".join(f"/{_token(part)}" for part in found["loc"]), detail=str(found["msg"]))
        for found in error.errors()[:_MOST_FIELDS]
    ]


def _token(part: str | int) -> str:
    """Return one step of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")
