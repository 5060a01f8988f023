"""Every error that Tarifa raises on purpose, in one tree.

::

    TarifaError                what went wrong, why, what to do; a stable code; an exit code
    +-- UsageError             the call is wrong (exit 2)
    |   +-- ConditionMissing   it was not said which version was looked at
    +-- DataError              the user's tables or settings break the contract (exit 3)
    |   +-- SettingsError      shop.toml
    |   +-- TooManyBadRows     quarantine above the configured share
    +-- ArtifactError          a run, policy or output folder is corrupt, foreign or stale (exit 4)
    |   +-- FingerprintError   it was made from other data
    +-- RefusedError           Tarifa will not answer, because the answer would be invented (exit 5)
    |   +-- FailedChecks       the demand model's passport failed, and nobody accepted that by name
    |   +-- UnknownProduct     not in the catalogue of the run
    |   +-- OutsideSupport     a price nobody has ever seen
    |   +-- NotIdentified      the data cannot tell
    |   +-- StaleError         it has changed since it was looked at
    |   +-- UnknownCoupon      no such campaign, coupon, code, reservation or redemption
    |   +-- LimitReached       a budget or a limit on uses is exhausted
    |   +-- ConflictError      what it asks does not follow from what has happened
    +-- AccessError            nobody knows who asks
    |   +-- ForbiddenError     who asks may not do this
    +-- BusyError              another process holds the folder, or the disk is full (exit 6)

Only the edge (:mod:`api`) turns these into exit codes and HTTP problems, and says them in the reader's
language: the heading by the stable code, the sentences of the most common mistakes by their English wording
(:meth:`api.texts.Texts.reworded`). The sentences here are English, because only where a mistake is found is
it known which row, file or field it concerns; a rare one stays English.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessError",
    "ArtifactError",
    "BusyError",
    "ConditionMissing",
    "ConflictError",
    "DataError",
    "FailedChecks",
    "FingerprintError",
    "ForbiddenError",
    "LimitReached",
    "MissingCost",
    "NotIdentified",
    "OutsideSupport",
    "RefusedError",
    "SettingsError",
    "StaleError",
    "TarifaError",
    "TooManyBadRows",
    "UnknownCoupon",
    "UnknownProduct",
    "UsageError",
]


class TarifaError(Exception):
    """A failure that a user can act on.

    Parameters
    ----------
    what
        What went wrong, naming the row, file or field.
    why
        Why that is a problem; may be empty where `what` says it.
    todo
        What to do about it.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500

    def __init__(self, what: str, *, why: str = "", todo: str = "") -> None:
        self.what = what
        self.why = why
        self.todo = todo
        super().__init__(" ".join(part for part in (what, why, todo) if part))


class UsageError(TarifaError):
    """The call itself is wrong: an option, a name, a combination."""

    code = "usage"
    exit_code = 2
    status = 422


class DataError(TarifaError):
    """The user's tables break the data contract."""

    code = "data"
    exit_code = 3
    status = 422


class SettingsError(DataError):
    """``shop.toml`` is missing something or says something impossible."""

    code = "settings"


class TooManyBadRows(DataError):  # noqa: N818 - reads as a sentence where it is raised
    """More rows went to quarantine than the shop file allows."""

    code = "too_many_bad_rows"


class MissingCost(DataError):  # noqa: N818 - reads as a sentence where it is raised
    """A product has no unit cost and the shop file assumes none: demand is known, profit is not."""


class ArtifactError(TarifaError):
    """A run, policy or output folder is corrupt, foreign, incomplete or of a newer schema."""

    code = "artifact"
    exit_code = 4
    status = 503


class FingerprintError(ArtifactError):
    """An artifact was made from other data than it is used with."""

    code = "fingerprint"


class RefusedError(TarifaError):
    """Tarifa declines to answer because any answer would be invented."""

    code = "refused"
    exit_code = 5
    status = 422


class FailedChecks(RefusedError):  # noqa: N818 - reads as a sentence where it is raised
    """The demand model failed checks of its passport that nobody has accepted by name."""

    code = "failed_checks"


class UnknownProduct(RefusedError):  # noqa: N818 - reads as a sentence where it is raised
    """The product or price group is not in the catalogue of this run."""

    code = "unknown_product"
    status = 404


class OutsideSupport(RefusedError):  # noqa: N818 - reads as a sentence where it is raised
    """The price lies outside everything observed for this series."""

    code = "outside_support"


class NotIdentified(RefusedError):  # noqa: N818 - reads as a sentence where it is raised
    """The data cannot tell the effect of price for this series."""

    code = "not_identified"


class StaleError(RefusedError):
    """What it was about has changed since it was looked at."""

    code = "stale"
    status = 412


class UnknownCoupon(RefusedError):  # noqa: N818 - reads as a sentence where it is raised
    """There is no such campaign, coupon, code, reservation or redemption."""

    code = "unknown_coupon"
    status = 404


class LimitReached(RefusedError):  # noqa: N818 - reads as a sentence where it is raised
    """A budget, or a limit on how often a coupon may be used, is exhausted."""

    code = "limit_reached"
    status = 409


class ConflictError(RefusedError):
    """What is asked does not follow from what has happened: expired, used already, more than was given."""

    code = "conflict"
    status = 409


class ConditionMissing(UsageError):  # noqa: N818 - reads as a sentence where it is raised
    """It was not said which version of it was looked at (RFC 6585, section 3)."""

    code = "condition_missing"
    status = 428


class AccessError(TarifaError):
    """Nobody knows who asks."""

    code = "access"
    exit_code = 5
    status = 401


class ForbiddenError(AccessError):
    """Who asks may not do this."""

    code = "forbidden"
    status = 403


class BusyError(TarifaError):
    """Another process holds the folder, or there is no room to write."""

    code = "busy"
    exit_code = 6
    status = 503
