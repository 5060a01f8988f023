"""Every error of this client, in one tree.

::

    TarifaClientError
    +-- Problem        Tarifa refused, and says why (RFC 9457); asking again changes nothing
    +-- Unavailable    nobody answered in time; what was asked may have happened
    +-- Malformed      what answered is not Tarifa, or of another version
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Malformed", "Problem", "TarifaClientError", "Unavailable"]


class TarifaClientError(Exception):
    """Something went wrong that a caller can act on."""


class Problem(TarifaClientError):  # noqa: N818 - the standard's own word  # noqa: N818 - the standard's own word
    """Tarifa refused.

    Parameters
    ----------
    status
        HTTP status.
    body
        As RFC 9457 describes it, with `code`, `why` and `todo` beyond the standard.
    """

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        self.status = status
        self.code = str(body.get("code", ""))
        self.detail = str(body.get("detail", ""))
        self.why = str(body.get("why", ""))
        self.todo = str(body.get("todo", ""))
        super().__init__(" ".join(part for part in (self.detail, self.why, self.todo) if part))


class Unavailable(TarifaClientError):  # noqa: N818 - reads as a sentence where it is raised
    """Nobody answered in time; what was asked may have happened, so ask again with the same key."""


class Malformed(TarifaClientError):  # noqa: N818 - reads as a sentence where it is raised
    """What answered is not Tarifa, or of another version."""
