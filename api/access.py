"""Who may do what: access keys with roles.

Before the first key is made, whoever reaches the service may do everything, and it listens on this computer
alone. From the first key on, every request needs one. A browser keeps its key in a cookie that no script can
read and no other site can send.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from api.readiness import Readiness
from api.storage.database import Database
from api.storage.keys import KeyRow, add_key, any_key, find_key
from pricing.errors import AccessError, ForbiddenError, UsageError

__all__ = [
    "COOKIE",
    "LOCAL",
    "Actor",
    "Deciding",
    "Minting",
    "Permission",
    "Reading",
    "Redeeming",
    "Reviewing",
    "Role",
    "make_key",
    "permitted",
    "require_own_page",
    "who",
]

COOKIE = "tarifa_key"
"""Name of the cookie in which a browser keeps its key."""

_PREFIX = "tarifa_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = (None, "same-origin", "none")
"""What a browser says of who asks (Fetch Metadata): our own page, or somebody who typed the address."""


class Permission(Enum):
    """What a route needs."""

    READ = "read"
    DECIDE = "decide"
    REVIEW = "review"
    REDEEM = "redeem"
    MINT = "mint"


class Role(Enum):
    """What a key is for."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    MANAGER = "manager"
    BACKEND = "backend"

    @property
    def permissions(self) -> frozenset[Permission]:
        """What it may do."""
        return _MAY[self]


_MAY = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.ANALYST: frozenset({Permission.READ, Permission.DECIDE}),
    Role.MANAGER: frozenset(Permission),
    Role.BACKEND: frozenset({Permission.READ, Permission.DECIDE, Permission.REDEEM}),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: the name of a key, and its role."""

    name: str
    role: Role


LOCAL = Actor("local", Role.MANAGER)
"""Who asks where no key was ever made: somebody at this computer."""


def make_key(database: Database, name: str, role: Role) -> str:
    """Make an access key; it is returned once and kept nowhere.

    Raises
    ------
    UsageError
        If the name is taken, or is no name.
    """
    if _NAME.fullmatch(name) is None or name == LOCAL.name:
        raise UsageError(
            f"{name!r} cannot be the name of a key.",
            todo="Use letters, digits and . _ @ -, at most 100, and another word than `local`.",
        )
    key = _PREFIX + secrets.token_urlsafe(32)
    with database.writing() as transaction:
        if not add_key(transaction, name, role.value, _digest(key)):
            raise UsageError(
                f"There is a key named {name} already.",
                why="Reviews are recorded under the names of keys.",
                todo="Choose another name; a revoked one cannot come back.",
            )
    return key


def who(database: Database, key: str | None) -> Actor:
    """Return who asks with this key.

    Raises
    ------
    AccessError
        If keys were made and this is none of them, or it was revoked.
    """
    with database.reading() as connection:
        if key is None:
            if any_key(connection):
                raise AccessError(
                    "This service needs an access key.",
                    todo="Send it as `Authorization: Bearer KEY`, or sign in.",
                )
            return LOCAL
        found: KeyRow | None = find_key(connection, _digest(key))
    if found is None or found.revoked_at is not None:
        raise AccessError("This access key is not known here.", todo="Ask for a new one.")
    return Actor(found.name, Role(found.role))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


_BEARER = HTTPBearer(auto_error=False, description="An access key, made with `tarifa keys`.")
_COOKIE = APIKeyCookie(name=COOKIE, auto_error=False, description="The same, kept by a browser.")


def permitted(permission: Permission) -> Callable[..., Actor]:
    """Return the dependency that lets in only who has this permission.

    Raises
    ------
    AccessError
        From the dependency: nobody knows who asks.
    ForbiddenError
        From the dependency: the role does not allow it, or a page of another site asked.
    """

    def allowed(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        cookie: Annotated[str | None, Depends(_COOKIE)],
    ) -> Actor:
        readiness: Readiness[Any] = request.app.state.readiness
        key = bearer.credentials if bearer is not None else cookie
        if bearer is None and cookie is not None:
            require_own_page(request)
        actor = who(readiness.require().store.database, key)
        if permission not in actor.role.permissions:
            raise ForbiddenError(
                f"The role {actor.role.value} may not do this.",
                todo="Use a key of another role; `tarifa keys add` makes them.",
            )
        return actor

    return allowed


def require_own_page(request: Request) -> None:
    """Refuse what a page of another site asks a browser to change in its user's name.

    Raises
    ------
    ForbiddenError
        If it does.
    """
    if request.method in _SAFE:
        return
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    elsewhere = origin is not None and origin.partition("://")[2] != request.headers.get("host")
    if elsewhere or site not in _OWN_SITE:
        raise ForbiddenError(
            "This request comes from a page of another site.", todo="Use Tarifa's own pages."
        )


Reading = Annotated[Actor, Depends(permitted(Permission.READ))]
Deciding = Annotated[Actor, Depends(permitted(Permission.DECIDE))]
Reviewing = Annotated[Actor, Depends(permitted(Permission.REVIEW))]
Redeeming = Annotated[Actor, Depends(permitted(Permission.REDEEM))]
Minting = Annotated[Actor, Depends(permitted(Permission.MINT))]
