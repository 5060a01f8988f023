"""Guardrails: every rule filters the rounded ladder, before the choice and never after it.

A rejection is a bit. The order of :class:`Rule` is the order of precedence, so the rule that a rejection
is attributed to is its lowest bit, and the binding rule of a choice is the lowest bit of the price that
would have been chosen without any rule: the bits of that price are the smallest set whose removal
restores it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from fractions import Fraction
from functools import cached_property

import numpy as np

from pricing.arrays import Bits, Bools, Codes, Floats, Ints
from pricing.catalogue import Catalogue
from pricing.demand import Conditions
from pricing.errors import SettingsError
from pricing.evidence import Identification
from pricing.menu import Endings, Menu, at_rung
from pricing.ranked_rule import RankedRule, bits_of
from pricing.transition import State
from pricing.variants import Variants

__all__ = [
    "HARD",
    "Admission",
    "GuardrailSettings",
    "Guardrails",
    "Rule",
    "RuleClass",
    "Status",
    "first_rule",
]


class RuleClass(IntEnum):
    """Classes of rules, in falling precedence."""

    LEGAL = 0
    NEVER_LOSE_MONEY = 1
    RELATIONS = 2
    STABILITY = 3
    COMMERCIAL = 4
    ROUNDING = 5


class Rule(RankedRule):
    """Rules in falling precedence; the value is the bit. See `docs/guardrails.md`."""

    KILL_SWITCH = 0
    FIXED_PRICE = 1
    MAX_PRICE = 2
    MAP_PRICE = 3
    PRIOR_PRICE = 4
    BELOW_COST = 5
    OUTSIDE_SUPPORT = 6
    NOT_IDENTIFIED = 7
    VARIANT_EQUALITY = 8
    MAX_CHANGE = 9
    COOL_DOWN = 10
    SHARE_MOVED = 11
    HOLDOUT = 12
    PRICE_BOUNDS = 13
    MARGIN_FLOOR = 14
    PRICE_ENDING = 15

    @property
    def kind(self) -> RuleClass:
        """The class that decides precedence."""
        return _CLASS[self]

    @property
    def hard(self) -> bool:
        """A hard rule is never relaxed."""
        return self.kind <= RuleClass.NEVER_LOSE_MONEY


_CLASS = {
    Rule.KILL_SWITCH: RuleClass.LEGAL,
    Rule.FIXED_PRICE: RuleClass.LEGAL,
    Rule.MAX_PRICE: RuleClass.LEGAL,
    Rule.MAP_PRICE: RuleClass.LEGAL,
    Rule.PRIOR_PRICE: RuleClass.LEGAL,
    Rule.BELOW_COST: RuleClass.NEVER_LOSE_MONEY,
    Rule.OUTSIDE_SUPPORT: RuleClass.NEVER_LOSE_MONEY,
    Rule.NOT_IDENTIFIED: RuleClass.NEVER_LOSE_MONEY,
    Rule.VARIANT_EQUALITY: RuleClass.RELATIONS,
    Rule.MAX_CHANGE: RuleClass.STABILITY,
    Rule.COOL_DOWN: RuleClass.STABILITY,
    Rule.SHARE_MOVED: RuleClass.STABILITY,
    Rule.HOLDOUT: RuleClass.STABILITY,
    Rule.PRICE_BOUNDS: RuleClass.COMMERCIAL,
    Rule.MARGIN_FLOOR: RuleClass.COMMERCIAL,
    Rule.PRICE_ENDING: RuleClass.ROUNDING,
}


def _bits(*rules: Rule) -> np.uint32:
    return np.uint32(sum(1 << rule.value for rule in rules))


HARD = _bits(*(rule for rule in Rule if rule.hard))
_ABOUT_MOVING = _bits(
    Rule.KILL_SWITCH,
    Rule.OUTSIDE_SUPPORT,
    Rule.NOT_IDENTIFIED,
    Rule.MAX_CHANGE,
    Rule.COOL_DOWN,
    Rule.SHARE_MOVED,
    Rule.PRICE_ENDING,
)
"""Rules that forbid a move; to keep the price in force breaks none of them."""

_ABOUT_STEPS = _bits(Rule.MAX_CHANGE, Rule.COOL_DOWN, Rule.PRICE_ENDING)
"""Those of them that a return to the price of a holdout does not break: nobody finds it new."""

_GIVEN_UP = (RuleClass.ROUNDING, RuleClass.COMMERCIAL, RuleClass.STABILITY, RuleClass.RELATIONS)
"""Classes of soft rules in the order in which they are relaxed."""

_FINEST = 10**6
"""A share in the settings is read as the decimal it was written as, to a millionth."""

_ROUNDING = 1e-14
"""Relative error of profit in floating point: a price exactly at cost is not below it."""


class Status(IntEnum):
    """What became of the allowed set of one series."""

    OPEN = 0
    NO_CHANGE = 1
    RELAXED = 2
    BLOCKED = 3

    @property
    def label(self) -> str:
        """The word written to output tables."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class GuardrailSettings:
    """The shop's corridor; every field is documented in `docs/guardrails.md`.

    Attributes
    ----------
    margin_floor
        Least net profit a unit, as a share of the net price (0.1 is ten percent).
    max_change
        Largest relative move of the regular price in one step.
    cool_down
        Least number of whole periods between two moves.
    max_share_moved
        Largest share of the catalogue that one run may move.
    endings
        Sellable endings.
    kill_switch
        Nothing moves.
    act_on_prior
        Move prices also where only the population of similar products, not the product's own history,
        tells its response.
    prior_price
        A planned reduction counts as an announced one and has to be below the lowest price of 30 days.
    """

    margin_floor: float = 0.0
    max_change: float = 0.1
    cool_down: int = 0
    max_share_moved: float = 1.0
    endings: Endings = field(default_factory=Endings)
    kill_switch: bool = False
    act_on_prior: bool = False
    prior_price: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (
            ("margin_floor", -1.0, 1.0),
            ("max_change", 0.0, 1.0),
            ("max_share_moved", 0.0, 1.0),
        ):
            value = float(getattr(self, name))
            if not low <= value <= high:
                raise SettingsError(f"guardrails.{name} = {value} is outside {low} to {high}.")
        if not self.cool_down >= 0:
            raise SettingsError(f"guardrails.cool_down = {self.cool_down} is not 0 or more.")


@dataclass(frozen=True, slots=True)
class Admission:
    """Which rungs may be chosen, and why the others may not.

    Attributes
    ----------
    rejections
        uint32 [B, N, K]; bit of every rule that a rung breaks (0 also on rungs that do not exist).
    allowed
        bool [B, N, K]; what the choice is made from, after relaxation.
    current
        int64 [B, N]; rung of the price in force, -1 where it is no rung.
    status
        int8 [B, N]; :class:`Status`.
    relaxed
        uint32 [B, N]; bits of the soft rules that were relaxed.
    shadow_price
        float64 [B]; expected profit (minor units) that one more move would bring; 0 where the share of
        the catalogue did not bind.
    """

    rejections: Bits
    allowed: Bools
    current: Ints
    status: Codes
    relaxed: Bits
    shadow_price: Floats


def first_rule(bits: Bits) -> Ints:
    """Return the rule of highest precedence among bits [...], -1 where there is none."""
    lowest = bits & (~bits + np.uint32(1))
    exponent = np.frexp(lowest.astype(np.float64))[1].astype(np.int64) - 1
    return np.where(bits == 0, -1, exponent)


class Guardrails:
    """The rules of one catalogue and menu; what does not depend on the state is computed once.

    Parameters
    ----------
    catalogue
        N series.
    menu
        Ladders [N, K].
    settings
        The shop's corridor.
    depth
        Planned log(shelf / regular price) <= 0 that the rules about money count in, float64 [N] or
        [B, N]; None where nothing is reduced. :meth:`admit` sets it by the conditions of a period.
    held
        int64 [N]; price that a trial holds each series at, minor units, 0 where it holds none; None for
        no trial (:meth:`pricing.trial.Trial.held`).
    """

    def __init__(
        self,
        catalogue: Catalogue,
        menu: Menu,
        settings: GuardrailSettings,
        depth: Floats | None = None,
        held: Ints | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.menu = menu
        self.settings = settings
        self.held = held
        paid = menu.price.astype(np.float64)
        if depth is not None:
            paid = paid * np.exp(np.asarray(depth)[..., None])
        self._reduction = None
        if depth is not None and settings.prior_price:
            self._reduction = _Reduction(paid, np.less(depth, 0.0)[..., None])
        self._fixed_rules = _state_free(catalogue, menu, settings, paid)
        self._back: Bools | None = None
        if held is not None and held.any():
            self._back = np.asarray(np.equal(menu.price, held[:, None]), dtype=np.bool_)
            kept = (held == 0)[:, None] | self._back
            self._fixed_rules = self._fixed_rules | np.where(kept, np.uint32(0), Rule.HOLDOUT.bit)
        self._reduced: dict[bytes, Guardrails] = {}
        self._variants = catalogue.variants
        shared = menu.price[self._variants.order[self._variants.starts]][self._variants.group]
        if (menu.price != shared).any():
            raise SettingsError("Variants that must carry one price have different ladders.")
        share = Fraction(str(settings.max_change)).limit_denominator(_FINEST)
        self._change = (share.numerator, share.denominator)

    @property
    def standing(self) -> Bools:
        """Rungs that no rule forbids whatever the state, bool [N, K]: the corridor of a planner.

        Those of a period without a planned reduction.
        """
        return np.asarray(np.equal(self._fixed_rules, 0) & self.menu.valid, dtype=np.bool_)

    def admit(self, state: State, conditions: Conditions | None = None) -> Admission:
        """Apply every rule of one series, then variant equality, then relax where nothing is left.

        The share of the catalogue that may move is a question about the whole run: see
        :func:`pricing.joint.limit_moves`.

        Parameters
        ----------
        state
            Where the batch stands, arrays [B, N].
        conditions
            Of the coming period: cost, margin, minimum advertised and prior price are compared with what
            is really paid, after its planned reduction. None: nothing is reduced.
        """
        if conditions is not None and np.any(conditions.depth):
            return self._under(conditions.depth).admit(state)
        known = self._fixed_rules.ndim == 2 and self._reduction is None
        if known and len(state.price) >= 2 * self.menu.price.shape[1]:
            place = self.menu.index_of(state.price)
            waiting = state.since_change < self.settings.cool_down
            if (place >= 0).all() and self._abreast(place) and self._abreast(waiting):
                return self._known(place, waiting)
        return self._apply(state)

    def _under(self, depth: Floats) -> Guardrails:
        """Return the rules of a period with a planned reduction; what all runs share is kept."""
        shared, key = np.ndim(depth) < 2, np.ascontiguousarray(depth).tobytes()
        if shared and key in self._reduced:
            return self._reduced[key]
        rules = Guardrails(self.catalogue, self.menu, self.settings, depth, self.held)
        if shared:
            self._reduced[key] = rules
        return rules

    def _apply(self, state: State) -> Admission:
        keep = (self.menu.price == state.price[..., None]) & self.menu.valid
        own = self._reject(state, keep)
        rejections = own
        if not self._variants.alone:
            broken = np.not_equal(own, 0)
            others = np.greater(self._variants.count(broken) - broken, 0)
            rejections = own | np.where(others, Rule.VARIANT_EQUALITY.bit, np.uint32(0))
        return _settle(own, rejections, self.menu.valid, keep, self._variants)

    def _abreast(self, values: Ints | Bools) -> bool:
        """Return whether variants have the same value [B, N] in every run."""
        first = self._variants.order[self._variants.starts][self._variants.group]
        return self._variants.alone or bool(np.equal(values, values[:, first]).all())

    def _known(self, place: Ints, waiting: Bools) -> Admission:
        """Look admissions up: variants abreast are judged by rung in force and whether they wait, [B, N]."""
        table, count, rungs = self._every_state, *self.menu.price.shape
        row = np.asarray((waiting * rungs + place) * count + np.arange(count), dtype=np.int64)
        return Admission(
            rejections=table.rejections.reshape(-1, rungs).take(row, axis=0),
            allowed=table.allowed.reshape(-1, rungs).take(row, axis=0),
            current=place,
            status=table.status.take(row),
            relaxed=table.relaxed.take(row),
            shadow_price=np.zeros(len(place)),
        )

    @cached_property
    def _every_state(self) -> Admission:
        """Admissions [2 K, N, K]: each rung in force, first of series that may move, then of waiting ones."""
        rungs = self.menu.price.shape[1]
        state = State.start(self.catalogue, 2 * rungs)
        rested = np.repeat([self.settings.cool_down, -1], rungs)
        every = np.concatenate([self.menu.price.T, self.menu.price.T])
        since = np.broadcast_to(rested[:, None], every.shape)
        return self._apply(replace(state, price=every, since_change=since))

    def _reject(self, state: State, keep: Bools) -> Bits:
        settings = self.settings
        price, part, whole = self.menu.price, *self._change
        step = state.price // whole * part + state.price % whole * part // whole  # no product past 2**63
        over = (price > (state.price + step)[..., None]) | (price < (state.price - step)[..., None])
        bits = np.where(over, Rule.MAX_CHANGE.bit, np.uint32(0))
        waiting = state.since_change < settings.cool_down
        if waiting.any():
            bits |= np.where(waiting, Rule.COOL_DOWN.bit, np.uint32(0))[..., None]
        bits |= self._fixed_rules
        if self._reduction is not None:
            bits |= np.where(self._reduction.none(state, keep), Rule.PRIOR_PRICE.bit, np.uint32(0))
        if self._back is not None:
            bits &= np.where(self._back, ~_ABOUT_STEPS, ~np.uint32(0))
        bits &= np.where(keep, ~_ABOUT_MOVING, ~np.uint32(0))
        bits[..., ~self.menu.valid] = 0
        return bits


@dataclass(frozen=True, slots=True)
class _Reduction:
    """What planned reductions leave to pay, float64 [..., N, K], and where there is one, bool [..., N, 1]."""

    paid: Floats
    planned: Bools

    def none(self, state: State, keep: Bools) -> Bools:
        """Return the rungs [B, N, K] whose reduced price is not below the prior price: no reduction.

        One that goes on at the price on the tag announces nothing new: it was judged when it began.
        """
        shelf = np.maximum(self.paid, 1.0)
        half = 0.5 + _ROUNDING * shelf  # prices on tags are whole minor units
        before = state.recent[..., 0]
        running = keep & np.less(before, state.price)[..., None] & (np.abs(shelf - before[..., None]) <= half)
        return np.asarray(self.planned & (shelf >= state.low[..., None] - half) & ~running, dtype=np.bool_)


def _state_free(catalogue: Catalogue, menu: Menu, settings: GuardrailSettings, paid: Floats) -> Bits:
    """Return the rules that do not depend on the state; `paid` [..., N, K] is what a rung leaves to pay."""
    price = menu.price
    profit = np.swapaxes(catalogue.unit_profit(np.swapaxes(paid, -1, -2)), -1, -2)
    slack = _ROUNDING * (paid + (catalogue.unit_cost + catalogue.fee_unit)[:, None])
    net = catalogue.net_share[:, None] * paid * (1.0 - catalogue.return_rate[:, None])
    fixed = catalogue.fixed_price[:, None]
    may_act = catalogue.identified_by <= Identification.PROMO_CONTROLLED
    if settings.act_on_prior:
        may_act = catalogue.identified_by <= Identification.PRIOR
    broken = {
        Rule.KILL_SWITCH: np.full(price.shape, settings.kill_switch),
        Rule.FIXED_PRICE: (fixed > 0) & (price != fixed),
        Rule.MAX_PRICE: price > catalogue.max_price[:, None],
        Rule.MAP_PRICE: paid < catalogue.map_price[:, None] - slack,
        Rule.BELOW_COST: profit < -slack,
        Rule.OUTSIDE_SUPPORT: _outside(price, catalogue.support_low, catalogue.support_high),
        Rule.NOT_IDENTIFIED: np.broadcast_to(~may_act[:, None], price.shape),
        Rule.PRICE_BOUNDS: _outside(price, catalogue.floor_price, catalogue.ceiling_price),
        Rule.MARGIN_FLOOR: profit < settings.margin_floor * net - slack,
        Rule.PRICE_ENDING: ~settings.endings.sellable(price),
    }
    return bits_of(broken.items(), paid.shape)


def _outside(price: Ints, low: Ints, high: Ints) -> Bools:
    return np.less(price, low[:, None]) | np.greater(price, high[:, None])


def _settle(own: Bits, rejections: Bits, valid: Bools, keep: Bools, variants: Variants) -> Admission:
    """Form the allowed set; where it is empty keep the price in force, else relax soft rules, else block."""
    allowed = (rejections == 0) & valid
    place = np.argmax(keep, axis=-1)
    current = np.where(at_rung(keep, place), place, -1)
    status = np.zeros(current.shape, dtype=np.int8)
    relaxed = np.zeros(current.shape, dtype=np.uint32)
    empty = ~at_rung(allowed, np.argmax(allowed, axis=-1))
    if empty.any():
        hard_free = ((own & HARD) == 0) & valid
        _fill(own, hard_free, keep, empty, variants, allowed, status)
        given_up = np.bitwise_or.reduce(np.where(allowed, own, np.uint32(0)), axis=-1)
        apart = allowed.any(axis=-1) & ~variants.alike(allowed)
        relaxed = given_up | np.where(apart, Rule.VARIANT_EQUALITY.bit, np.uint32(0))
    return Admission(rejections, allowed, current, status, relaxed, np.zeros(current.shape[:1]))


def _fill(
    own: Bits,
    hard_free: Bools,
    keep: Bools,
    need: Bools,
    variants: Variants,
    allowed: Bools,
    status: Codes,
) -> None:
    """Give every series in `need` an allowed set, or block it (`allowed` and `status` are changed in place).

    Variants are one question: they keep their prices together, and soft rules are given up class by class,
    the lowest precedence first, until one rung is free for all of them. Only then is equality itself given
    up, and each is asked alone.
    """
    stays = np.asarray((hard_free & keep).any(axis=-1), dtype=np.bool_)
    _keep(need & variants.every(stays[..., None])[..., 0], keep, allowed, status)
    need = need & (status != Status.NO_CHANGE)
    given_up = np.uint32(0)
    for kind in _GIVEN_UP:
        given_up |= _bits(*(rule for rule in Rule if rule.kind == kind))
        alone = kind == RuleClass.RELATIONS
        if alone:
            _keep(need & stays, keep, allowed, status)
            need = need & ~stays
        free = hard_free & ((own & ~given_up) == 0)
        free = (free if alone else variants.every(free)) & need[..., None]
        now = free.any(axis=-1)
        np.logical_or(allowed, free, out=allowed)
        status[now] = Status.RELAXED
        need = need & ~now
    status[need] = Status.BLOCKED


def _keep(stay: Bools, keep: Bools, allowed: Bools, status: Codes) -> None:
    np.logical_or(allowed, keep & stay[..., None], out=allowed)
    status[stay] = Status.NO_CHANGE
