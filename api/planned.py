"""What a reader is told of the plans that a run counts in, and of those that it had to leave out."""

from __future__ import annotations

from api.texts import Texts

__all__ = ["plans_told"]


def plans_told(promoted: int, left_out: int, texts: Texts) -> tuple[str, ...]:
    """Return at most two sentences; none where nothing is planned.

    Parameters
    ----------
    promoted
        Number of series that the shop promotes or reduces in the coming period.
    left_out
        Number of rows about promotions and reductions to come that do not count, because the shop does not
        declare that its calendar is set in advance.
    texts
        In whose language.
    """
    counts = (("promoted", promoted), ("plans_left_out", left_out))
    return tuple(texts.text("word", code, count=texts.number(count)) for code, count in counts if count)
