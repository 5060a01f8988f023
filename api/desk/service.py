"""What the list of the desk shows: proposals, rounds and previews as a manager reads them.

Nothing is decided here. Everything is asked of the services behind the API, and put into words and figures
of the reader's language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from api.access import LOCAL, Actor, Permission
from api.desk.forms import PAGE, Asked
from api.desk.starts import When, starts_told, when_view
from api.reviewed import Listed, Preview, Read
from api.standing_texts import standing_lines
from api.storage.reviews import CHOICES, ProposalRow, Round, Wanted
from api.storage.store import Run, Store, Stored
from api.texts import Texts
from policies.serve.asked import PriceAsked
from policies.serve.past import Past
from policies.serve.shelf import Shelf
from pricing.approval import Action, Review, ReviewState
from pricing.money import Currency
from pricing.recommendation import LIMIT_SHARE, Curve
from pricing.standing import Standing, Verdict

__all__ = [
    "SHOWN",
    "Choice",
    "Drawn",
    "Filter",
    "ListView",
    "Pages",
    "PreviewView",
    "Reviewing",
    "RoundView",
    "RowView",
    "Scale",
    "Serving",
    "Tab",
    "counts_view",
    "filters",
    "list_view",
    "person",
    "preview_view",
    "round_view",
    "row_views",
    "scale_of",
    "waiting",
]  # fmt: skip

SHOWN = 10
"""Moves that a preview spells out."""

_WIDTH, _EDGE = 112.0, 5.0
"""Width of a drawn interval, and what is left free at its ends."""

_SCALE = re.compile(r"(-?\d{1,15}):(\d{1,15})", re.ASCII)

_USUAL = {
    Action.APPROVE: ReviewState.APPROVED.value,
    Action.REJECT: ReviewState.REJECTED.value,
    Action.WITHDRAW: ReviewState.PENDING.value,
}
"""Where a review usually leaves proposals; anything else is said."""

_WAITING = frozenset({"pending", "awaiting_second"})
_WORTH = frozenset({"pending", "awaiting_second", "approved"})
"""States in which an expected profit is still to come."""

_ORDER = ("pending", "awaiting_second", "approved", "rejected", "unchanged", "blocked")


class Reviewing(Protocol):
    """What the pages ask of approvals."""

    def offer(self, policy: str | None, by: str) -> Round: ...  # noqa: D102 - see api.approvals.service
    def current(self) -> Round: ...  # noqa: D102 - the same
    def superseded(self, now: Round) -> bool: ...  # noqa: D102 - the same
    def listed(  # noqa: D102 - the same
        self, wanted: Wanted, *, sort: str, falling: bool, start: int, limit: int
    ) -> Listed: ...
    def read(self, decision_id: str) -> Read: ...  # noqa: D102 - the same
    def possible(  # noqa: D102 - the same
        self, rows: Sequence[ProposalRow], now: Round, actor: str
    ) -> tuple[tuple[Action, ...], ...]: ...
    def asked(self, decision_id: str, price: int) -> PriceAsked: ...  # noqa: D102 - the same
    def review(self, decision_id: str, review: Review, etag: str | None) -> Read: ...  # noqa: D102 - the same
    def preview(self, wanted: Wanted, review: Review, shown: int) -> Preview: ...  # noqa: D102 - the same
    def carry_out(self, wanted: Wanted, review: Review, etag: str) -> Preview: ...  # noqa: D102 - the same


class Serving(Protocol):
    """What the pages ask of whoever decides."""

    @property
    def shelf(self) -> Shelf:
        """What the run knows of the shop."""
        ...

    @property
    def past(self) -> Past:
        """What the run remembers for people."""
        ...

    @property
    def store(self) -> Store:
        """Where decisions are recorded."""
        ...

    @property
    def trained(self) -> Mapping[str, Standing]:
        """Standing of the model that a policy was trained on, by name."""
        ...

    def find(self, decision_id: str) -> tuple[Stored, Run | None]:
        """Return a recorded decision."""
        ...

    def curve(self, stored: Stored) -> Curve | None:
        """Return the demand curve behind it; None where another run is served."""
        ...


@dataclass(frozen=True, slots=True)
class Pages:
    """The services that the pages stand on."""

    reviewing: Reviewing
    serving: Serving

    @property
    def zone(self) -> str:
        """IANA name of the shop's time zone."""
        return self.serving.past.time_zone


@dataclass(frozen=True, slots=True)
class Drawn:
    """An interval as it is drawn: its beginning, width and dot, where no change is, and its side of that."""

    left: str
    width: str
    dot: str
    zero: str
    sign: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Between which profit changes intervals are drawn, minor units."""

    low: int
    high: int

    @staticmethod
    def parse(text: str) -> Scale | None:
        """Read what :attr:`RowView.scale` wrote; None where it is anything else."""
        found = _SCALE.fullmatch(text)
        return None if found is None else Scale(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class RowView:
    """One proposal as the list shows it; amounts are written out."""

    decision_id: str
    etag: str
    name: str
    group: str
    about: str
    now: str
    new: str
    change: str
    direction: str
    profit: str
    interval: str
    loss: str
    drawn: Drawn
    evidence: str
    evidence_code: str
    guardrail: str
    state: str
    state_text: str
    settled: str
    actions: tuple[str, ...]
    scale: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose from."""

    value: str
    text: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """One thing that the list can be filtered by, and what there is to choose."""

    name: str
    text: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Tab:
    """One state: how many proposals stand there, what they are worth, and the address that shows them."""

    state: str
    text: str
    number: str
    worth: str
    query: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class RoundView:
    """The round as the head of the list tells it."""

    number: str
    span: str
    policy: str
    currency: str
    by: str
    day: str
    four_eyes: bool
    automatic: str
    standing: tuple[str, ...]
    trusted: bool
    limits: str
    superseded: bool
    when: When | None


@dataclass(frozen=True, slots=True)
class ListView:
    """A page of the list."""

    round: RoundView
    filters: tuple[Filter, ...]
    rows: tuple[RowView, ...]
    tabs: tuple[Tab, ...]
    whole: int
    first: int
    last: int
    asked: Asked
    before: str | None
    after: str | None
    settled: bool


@dataclass(frozen=True, slots=True)
class PreviewView:
    """What a bulk review would do, before it is done."""

    action: str
    count: int
    profit: str
    raised: int
    lowered: int
    states: tuple[tuple[str, int], ...]
    rows: tuple[tuple[str, str, str, str], ...]
    more: int
    refused: tuple[tuple[str, int], ...]
    etag: str


def waiting(pages: Pages) -> Asked:
    """Return what is shown first: what waits for somebody, or everything where nothing does."""
    found = _counted(pages, Wanted()).states
    states = tuple(
        state.value for state in (ReviewState.PENDING, ReviewState.AWAITING_SECOND) if found.get(state.value)
    )
    return Asked(Wanted(states))


def list_view(pages: Pages, asked: Asked, actor: Actor, texts: Texts) -> ListView:
    """Return the page of proposals that was asked for."""
    found = pages.reviewing.listed(
        asked.wanted, sort=asked.sort, falling=asked.falling, start=asked.start, limit=PAGE
    )
    scale = scale_of(found.rows)
    rows = row_views(pages, found.rows, found.round, actor, texts, scale)
    end = asked.start + len(rows)
    return ListView(
        round=round_view(pages, found.round, texts),
        filters=filters(found.round, asked, texts),
        rows=rows,
        tabs=_tabs(found, asked, texts),
        whole=found.whole,
        first=asked.start + 1 if rows else 0,
        last=end,
        asked=asked,
        before=asked.query(start=max(asked.start - PAGE, 0)) if asked.start else None,
        after=asked.query(start=end) if end < found.whole else None,
        settled=not rows and asked == Asked(Wanted(asked.wanted.states)) and not _WAITING & set(found.states),
    )


def filters(now: Round, asked: Asked, texts: Texts) -> tuple[Filter, ...]:
    """Return what the list can be filtered by: whatever its proposals differ in."""
    words = {"identified_by": texts.sections["evidence"], "binding_guardrail": texts.sections["rule"]}
    known: Any = now.facts.get("choices", {})
    found: list[Filter] = []
    for name in CHOICES:
        chosen, named = getattr(asked.wanted, name), words.get(name, {})
        values = [str(value) for value in known.get(name, ())]
        if len(values) > 1 or chosen is not None:
            choices = tuple(Choice(value, named.get(value, value), chosen == value) for value in values)
            found.append(Filter(name, texts.text("desk", f"filter_{name}"), choices))
    return tuple(found)


def counts_view(pages: Pages, asked: Asked, texts: Texts) -> tuple[tuple[Tab, ...], int]:
    """Return how many proposals stand where, and how many a list shows in all."""
    found = _counted(pages, asked.wanted)
    return _tabs(found, asked, texts), found.whole


def _counted(pages: Pages, wanted: Wanted) -> Listed:
    return pages.reviewing.listed(wanted, sort="profit_change", falling=True, start=0, limit=1)


def round_view(pages: Pages, now: Round, texts: Texts) -> RoundView:
    """Return what there is to say of a round."""
    facts, standing = now.facts, pages.serving.shelf.standing
    limits = texts.text("word", "driven_by_limits", limit=texts.percent(LIMIT_SHARE))
    policy = str(facts["policy"])
    return RoundView(
        number=texts.number(now.number),
        span=texts.span(facts["valid_from"], facts["valid_to"]) if facts["valid_from"] else "",
        policy=texts.sections["policy"].get(policy, policy),
        currency=str(facts["currency"] or ""),
        by=person(now.offered_by, texts),
        day=texts.day(now.offered_at[:10]),
        four_eyes=now.settings.four_eyes,
        automatic=texts.percent(now.settings.automatic_change, 1) if now.settings.automatic_change else "",
        standing=standing_lines(standing, texts, pages.serving.trained),
        trusted=standing.verdict is Verdict.PASSED,
        limits=limits if facts["driven_by_limits"] else "",
        superseded=pages.reviewing.superseded(now),
        when=when_view(facts, pages.zone, texts),
    )


def scale_of(rows: Sequence[ProposalRow]) -> Scale:
    """Return between which profit changes the intervals of a page are drawn; no change is among them."""
    lows, highs = ([getattr(row, f"profit_change_{end}") for row in rows] for end in ("lower", "upper"))
    return Scale(min([0, *lows]), max([0, *highs]))


def row_views(
    pages: Pages, rows: Sequence[ProposalRow], now: Round, actor: Actor, texts: Texts, scale: Scale
) -> tuple[RowView, ...]:
    """Return proposals as `actor` sees them."""
    actions = _actions(pages, rows, now, actor)
    return tuple(
        _row(row, can, now, texts, scale, pages.zone) for row, can in zip(rows, actions, strict=True)
    )


def _row(
    row: ProposalRow, actions: tuple[Action, ...], now: Round, texts: Texts, scale: Scale, zone: str
) -> RowView:
    money = Currency.of(str(now.facts["currency"]))
    new = row.recommended_price
    several = len(now.facts.get("choices", {}).get("zone", ())) > 1
    low, high = (texts.amount(end, money) for end in (row.profit_change_lower, row.profit_change_upper))
    return RowView(
        decision_id=row.decision_id,
        etag=row.etag,
        name=row.name or row.price_group,
        group=row.price_group if row.name else "",
        about=", ".join(word for word in (row.category, row.zone if several else "") if word),
        now=texts.amount(row.current_price, money),
        new="\N{EN DASH}" if new is None else texts.amount(new, money),
        change="" if new in (None, row.current_price) else texts.percent(row.change, 1, signed=True),
        direction="up" if row.change > 0 else "down" if new is not None and row.change < 0 else "same",
        profit=texts.amount(row.profit_change, money, signed=True),
        interval=f"{low} \N{HORIZONTAL ELLIPSIS} {high}",
        loss=texts.percent(row.probability_of_loss),
        drawn=_drawn(row, scale),
        evidence=texts.text("evidence", row.identified_by),
        evidence_code=row.identified_by,
        guardrail="" if row.binding_guardrail is None else texts.text("rule", row.binding_guardrail),
        state=row.state,
        state_text=texts.text("review_state", row.state),
        settled=_settled(row, money, texts, zone),
        actions=tuple(action.value for action in actions),
        scale=f"{scale.low}:{scale.high}",
    )


def person(name: str, texts: Texts) -> str:
    """Return what somebody is called who did something: the name of a key."""
    return texts.text("desk", "person_local") if name == LOCAL.name else name


def _actions(
    pages: Pages, rows: Sequence[ProposalRow], now: Round, actor: Actor
) -> tuple[tuple[Action, ...], ...]:
    if Permission.REVIEW not in actor.role.permissions or pages.reviewing.superseded(now):
        return ((),) * len(rows)
    return pages.reviewing.possible(rows, now, actor.name)


def _settled(row: ProposalRow, money: Currency, texts: Texts, zone: str) -> str:
    """Return by whom, at which price if it is a person's own, and from when on if somebody chose that."""
    by = texts.text("desk", "corridor") if row.approved_by == "corridor" else person(row.approved_by, texts)
    words = [texts.text("desk", "by", name=by)] if by else []
    if row.overridden and row.price is not None:
        words.insert(0, texts.text("desk", "own_at", price=texts.amount(row.price, money)))
    if row.starts_at is not None:
        words.append(texts.text("desk", "starts", at=starts_told(row.starts_at, zone, texts)))
    return ", ".join(words)


def _drawn(row: ProposalRow, scale: Scale) -> Drawn:
    reach = max(scale.high - scale.low, 1)

    def place(value: int) -> float:
        return _EDGE + (_WIDTH - 2.0 * _EDGE) * max(min((value - scale.low) / reach, 1.0), 0.0)

    lower, upper, dot, zero = map(
        place, (row.profit_change_lower, row.profit_change_upper, row.profit_change, 0)
    )
    sign = "gain" if row.profit_change_lower > 0 else "loss" if row.profit_change_upper < 0 else "open"
    return Drawn(f"{lower:.1f}", f"{max(upper - lower, 0.5):.1f}", f"{dot:.1f}", f"{zero:.1f}", sign)


def _tabs(found: Listed, asked: Asked, texts: Texts) -> tuple[Tab, ...]:
    facts: Any = found.round.facts
    money = Currency.of(str(facts["currency"]))
    every = Tab(
        "every",
        texts.text("desk", "all"),
        texts.number(sum(found.states.values())),
        "",
        asked.query(states=()),
        not asked.wanted.states,
    )
    known = (
        Tab(
            state,
            texts.text("review_state", state),
            texts.number(found.states[state]),
            texts.text("desk", "worth", profit=texts.money(found.worth[state], money, signed=True))
            if found.worth[state] and state in _WORTH
            else "",
            asked.query(states=(state,)),
            state in asked.wanted.states,
        )
        for state in _ORDER
        if found.states.get(state)
    )
    return (*known, every)


def preview_view(found: Preview, action: Action, texts: Texts) -> PreviewView:
    """Return what a bulk review would do, its largest moves first."""
    money = Currency.of(str(found.round.facts["currency"]))
    return PreviewView(
        action=action.value,
        count=found.count,
        profit=texts.money(found.profit_change, money, signed=True),
        raised=found.raised,
        lowered=found.lowered,
        states=tuple(
            (texts.text("review_state", ReviewState(state).value), number)
            for state, number in found.states.items()
            if set(found.states) != {_USUAL[action]}
        ),
        rows=tuple(
            (
                row.name or row.price_group,
                texts.amount(row.current_price, money),
                "\N{EN DASH}" if stands.price is None else texts.amount(stands.price, money),
                texts.amount(row.profit_change, money, signed=True),
            )
            for row, stands in found.largest
        ),
        more=found.count - len(found.largest),
        refused=tuple((texts.reworded(reason), number) for reason, number in found.refused.items()),
        etag=found.etag,
    )
