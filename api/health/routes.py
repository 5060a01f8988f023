"""Health apart from readiness: the first says that the process answers, the second that it can serve."""

from __future__ import annotations

from typing import Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from api.problems import PROBLEMS
from api.readiness import Readiness
from api.storage.store import Store
from policies.serve.shelf import Shelf

__all__ = ["Live", "Ready", "Serving", "router"]

router = APIRouter(prefix="/health", tags=["health"])


class Serving(Protocol):
    """What is asked of whatever serves."""

    @property
    def store(self) -> Store:
        """Where decisions are recorded."""
        ...

    @property
    def shelf(self) -> Shelf:
        """What the run knows of the shop."""
        ...

    @property
    def default(self) -> str:
        """The policy that decides where none is asked for."""
        ...


class Live(BaseModel):
    """The process answers."""

    status: str = "live"


class Ready(BaseModel):
    """The run is loaded and verified, every policy has decided, decisions can be recorded."""

    status: str = "ready"
    run: str = Field(description="SHA-256 of the run that is served.")
    policy: str = Field(description="The policy that decides where none is asked for.")
    as_of: str = Field(description="The day on which the run knows the shop.")
    passport: str | None = Field(description="SHA-256 of the demand model's passport; null: not validated.")
    model_verdict: str = Field(
        description="What it says: `passed`, `failed`, `not_applicable`, or `not_validated`."
    )
    accepted_checks: list[str] = Field(description="Checks that failed, each accepted by its name (codes).")


@router.get("/live", summary="Is the process alive?")
async def live() -> Live:
    """Answer as long as the process runs, whatever it has to serve."""
    return Live()


@router.get("/ready", summary="Can it serve?", responses={503: PROBLEMS[503]})
def ready(request: Request) -> Ready:
    """Answer once every policy that is served answers at once, and is recorded; else say why not."""
    readiness: Readiness[Serving] = request.app.state.readiness
    serving = readiness.require()
    serving.store.ping()
    shelf, standing = serving.shelf, serving.shelf.standing
    return Ready(
        run=shelf.digest,
        policy=serving.default,
        as_of=shelf.catalogue.as_of,
        passport=standing.passport,
        model_verdict=standing.word,
        accepted_checks=list(standing.accepted),
    )
