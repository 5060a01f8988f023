"""What the run knows: how many products by evidence, how long the past is, and under which passport."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from api.desk.service import Pages
from api.standing_texts import standing_lines
from api.texts import Texts
from pricing.evidence import Identification
from pricing.standing import Verdict

__all__ = ["Known", "KnowsView", "knows_view"]


@dataclass(frozen=True, slots=True)
class Known:
    """How many products' response to the price is known in one way."""

    code: str
    text: str
    number: str
    share: str
    percent: str


@dataclass(frozen=True, slots=True)
class KnowsView:
    """What the run knows, as it is told."""

    products: str
    movable: str
    as_of: str
    past: str
    costs_assumed: str
    untracked: str
    standing: tuple[str, ...]
    trusted: bool
    evidence: tuple[Known, ...]


def knows_view(pages: Pages, texts: Texts) -> KnowsView:
    """Return what the run that is served knows."""
    shelf, past = pages.serving.shelf, pages.serving.past
    catalogue, count = shelf.catalogue, len(shelf.catalogue)
    first = "" if past.panel is None or not len(past.panel[0].periods) else str(past.panel[0].periods[0])
    counts = np.bincount(catalogue.identified_by, minlength=len(Identification))
    standing = shelf.standing
    return KnowsView(
        products=texts.number(count),
        movable=texts.number(len(shelf.movable())),
        as_of=texts.day(catalogue.as_of),
        past=texts.span(first, catalogue.as_of) if first else "",
        costs_assumed=texts.percent(float(catalogue.cost_assumed.mean())),
        untracked=texts.percent(float(np.isinf(catalogue.stock).mean())),
        standing=standing_lines(standing, texts, pages.serving.trained),
        trusted=standing.verdict is Verdict.PASSED,
        evidence=tuple(
            Known(
                kind.label,
                texts.text("identified_by", kind.label),
                texts.number(int(counts[kind])),
                f"{counts[kind] / count:.4f}",
                texts.percent(counts[kind] / count),
            )
            for kind in Identification
            if counts[kind]
        ),
    )
