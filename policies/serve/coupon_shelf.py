"""The coupon shelf: everything that one decision about a coupon stands on, opened once and read by all.

A request brings a cart, the ledger what is left of budgets and limits, and the shelf turns both into the
situation that :func:`pricing.coupon_decision.decide_offers` decides.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from policies.serve.uplift_offers import UpliftOffers
from pricing.archive import content_digest, pack, unpack
from pricing.arrays import Bools, Floats, Ints
from pricing.catalogue import NO_LIMIT
from pricing.coupon_book import CouponBook
from pricing.coupon_decision import CouponDecisions, decide_offers
from pricing.coupon_rules import CouponSettings, OfferSituation, held_out
from pricing.coupons import Carts, Reductions, reduce
from pricing.customers import CUSTOMER_FEATURES, Customers, unknown, visible
from pricing.errors import ArtifactError, UsageError

__all__ = ["Cart", "CartLine", "CouponShelf", "Decided", "Left"]

_MOST_UNITS = 1e6


@dataclass(frozen=True, slots=True)
class CartLine:
    """One line as the customer sees it.

    Attributes
    ----------
    line_id, product_id
        Which line, of what.
    quantity
        Units, more than 0.
    shelf_price
        Of one unit as shown, minor units, in the zone's own basis.
    discount
        Already taken off the line, minor units, in the same basis.
    """

    line_id: str
    product_id: str
    quantity: float
    shelf_price: int
    discount: int = 0


@dataclass(frozen=True, slots=True)
class Cart:
    """What somebody is about to buy.

    Attributes
    ----------
    lines
        At least one.
    zone
        Where.
    shipping, shipping_cost
        What shipping costs the customer, gross, and the least that it may cost; minor units.
    coupon_applied
        A coupon is applied already.
    """

    lines: tuple[CartLine, ...]
    zone: str
    shipping: int = 0
    shipping_cost: int = 0
    coupon_applied: bool = False

    def __post_init__(self) -> None:
        names = [line.line_id for line in self.lines]
        if not names or len(set(names)) < len(names):
            raise UsageError(
                "lines: a cart has at least one line, and each has a name of its own.",
                why="What a coupon takes off is told line by line.",
            )
        for place, line in enumerate(self.lines):
            fine = math.isfinite(line.quantity) and 0.0 < line.quantity <= _MOST_UNITS
            shown = line.quantity * line.shelf_price if fine else 0.0
            if not fine or line.shelf_price < 0 or not 0 <= line.discount <= round(shown):
                raise UsageError(
                    f"lines/{place}: quantity, shelf_price and discount do not make a price.",
                    why="Quantity must be more than 0, and what is left to pay must not be negative.",
                )
        if self.shipping < 0 or self.shipping_cost < 0:
            raise UsageError("shipping: it costs 0 or more.")


@dataclass(frozen=True, slots=True)
class Left:
    """What the ledger says, in the order of the book's menu.

    Attributes
    ----------
    budget, uses
        int64 [K]; money and redemptions that are left; :data:`pricing.catalogue.NO_LIMIT` for no limit.
    used
        int64 [K]; redemptions and reservations in force of the customer.
    recent
        Offers to the customer within the days of the frequency cap.
    """

    budget: Ints
    uses: Ints
    used: Ints
    recent: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, and what it takes off.

    Attributes
    ----------
    decisions
        Batch 1, one customer.
    reductions
        What every offer would take off the cart.
    """

    decisions: CouponDecisions
    reductions: Reductions

    def by_line(self) -> Ints:
        """Return what the offer decided takes off each line, int64 [L], gross."""
        return self.reductions.by_line[:, int(self.decisions.index[0, 0])]


@dataclass(frozen=True, eq=False)
class CouponShelf:
    """A shop's coupons, ready to be decided.

    Attributes
    ----------
    book
        Coupons, campaigns and goods.
    customers
        Those that are known; everybody else is an unknown visitor.
    policy
        What chooses.
    settings
        The corridor.
    margin_floor, holdout_share
        See `docs/coupon-guardrails.md`.
    reservation_seconds
        How long an offer keeps its money.
    seed
        Of draws and of holdouts.
    replan_decisions, replan_seconds
        After how many decisions, or how long, shadow prices are found anew.
    """

    book: CouponBook
    customers: Customers
    policy: UpliftOffers
    settings: CouponSettings
    margin_floor: float
    holdout_share: float
    reservation_seconds: int
    seed: int
    replan_decisions: int = 200
    replan_seconds: int = 300

    @cached_property
    def identified(self) -> Bools:
        """Bool [K]; by offer of the menu, whether a randomised comparison told what it adds."""
        model = self.policy.model
        known = dict(zip(model.offers, model.may_act, strict=True))
        return np.array([known.get(name, False) for name in self.book.menu.ids], dtype=np.bool_)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the shelf: of everything here that a decision follows from."""
        parts = {
            "book": self.book.digest(), "customers": self.customers.digest(), "policy": self.policy.version
        }  # fmt: skip
        return content_digest(_KIND, _VERSION, {}, {**self._numbers(), **parts})

    def decide(
        self,
        cart: Cart,
        left: Left,
        *,
        customer: str,
        key: int,
        at: int,
        run: int,
        opted_out: bool,
        policy: UpliftOffers | None = None,
    ) -> Decided:
        """Decide which offer, if any, a customer gets for a cart.

        Parameters
        ----------
        cart, left
            What is asked about; what the ledger says.
        customer
            Pseudonym, known or not: it finds the customer's features and lot, and is not recorded here.
        key
            What the decision's id and draw follow from, in place of the pseudonym; below 2**64.
        at, run
            Second since 1970-01-01 UTC; 32-bit number of the request.
        opted_out
            The customer refuses personal offers now, whatever was agreed before (Global Privacy Control).
        policy
            The shelf's at other shadow prices; None: as the shelf has it.

        Raises
        ------
        UsageError
            If the shop has no such zone.
        """
        carts = self._carts(cart)
        reductions = reduce(carts, self.book.menu)
        features, consented = self._seen(customer, opted_out=opted_out)
        one = (1, 1, len(self.book.menu))
        situation = OfferSituation(
            menu=self.book.menu,
            keys=np.array([key], dtype=np.uint64),
            at=at,
            discount=reductions.total[None],
            spend=reductions.spend[None],
            below_floor=reductions.below_floor[None],
            floor_unknown=reductions.floor_unknown[None],
            applied=np.array([[cart.coupon_applied]]),
            held_out=self._lots(customer).reshape(one),
            recent=np.array([[left.recent if consented else 0]], dtype=np.int64),
            used=left.used.reshape(one),
            budget_left=left.budget[None],
            limit_left=left.uses[None],
            identified=self.identified,
            features=features.reshape(1, 1, -1),
            feature_names=_NAMES,
            personal=_PERSONAL,
            consented=np.array([consented]),
            holdout_share=self.holdout_share,
        )
        runs = np.array([run], dtype=np.int64)
        made = decide_offers(
            situation,
            self.settings,
            policy or self.policy,
            seed=self.seed,
            runs=runs,
            fingerprint=self.fingerprint,
        )
        return Decided(made, reductions)

    def rehearse(self) -> None:
        """Decide for nobody, and forget it: what the first decision would have to make is there for it.

        Raises
        ------
        TarifaError
            Whatever keeps this shelf from deciding about anybody.
        """
        offers = len(self.book.menu)
        most = np.full(offers, NO_LIMIT, dtype=np.int64)
        left = Left(most, most, np.zeros(offers, dtype=np.int64), 0)
        zone = next((name for name, _, _ in self.book.zones), "")
        cart = Cart((CartLine("1", "", 1.0, 100),), zone)
        made = self.decide(cart, left, customer="", key=0, at=0, run=0, opted_out=True)
        made.decisions.record(0, 0)

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same shelf gives the same bytes."""
        parts = {name: getattr(self, name).to_bytes() for name in _PARTS}
        arrays = {name: np.frombuffer(content, dtype=np.uint8) for name, content in parts.items()}
        return pack(_KIND, _VERSION, arrays, self._numbers())

    def _numbers(self) -> dict[str, object]:
        return {**{name: getattr(self, name) for name in _NUMBERS}, "settings": asdict(self.settings)}

    @staticmethod
    def from_bytes(content: bytes) -> CouponShelf:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        try:
            book, customers, policy = (arrays[name].tobytes() for name in _PARTS)
            return CouponShelf(
                book=CouponBook.from_bytes(book),
                customers=Customers.from_bytes(customers),
                policy=UpliftOffers.from_bytes(policy),
                settings=CouponSettings(**meta["settings"]),
                **{name: meta[name] for name in _NUMBERS},
            )
        except (LookupError, TypeError) as error:
            raise ArtifactError(
                "This archive does not hold a coupon shelf.",
                why=f"{type(error).__name__}: {error}.",
                todo="Make it again with `tarifa coupons shelf`.",
            ) from error

    def _seen(self, customer: str, *, opted_out: bool) -> tuple[Floats, bool]:
        """Return what may be seen of a customer, float64 [F], and whether they agreed."""
        row = self.customers.row(customer)
        if row < 0:
            return unknown(), False
        consented = bool(self.customers.consented[row]) and not opted_out
        return visible(self.customers.values[row], np.array(consented)), consented

    def _lots(self, customer: str) -> Bools:
        """Return the offers whose campaign holds the customer out, bool [K]."""
        campaigns, place = self.book.payers
        drawn = held_out([customer], campaigns, self.holdout_share, self.seed)[0]
        return np.concatenate([[False], drawn[place]])

    def _carts(self, cart: Cart) -> Carts:
        tax, included = self.book.tax(cart.zone)
        shown = np.array([round(x.quantity * x.shelf_price) - x.discount for x in cart.lines], dtype=np.int64)
        gross = shown if included else np.rint(shown * (1.0 + tax)).astype(np.int64)
        names = [line.product_id for line in cart.lines]
        quantity = np.array([line.quantity for line in cart.lines])
        return Carts(
            cart=np.zeros(len(gross), dtype=np.int64),
            gross=gross,
            floor=self.book.floors(names, quantity, cart.zone, self.margin_floor),
            covered=self.book.covered(names),
            shipping=np.array([cart.shipping], dtype=np.int64),
            shipping_floor=np.array([cart.shipping_cost], dtype=np.int64),
        )


_KIND, _VERSION = "coupon-shelf", 1
_PARTS = ("book", "customers", "policy")
_NUMBERS = (
    "margin_floor", "holdout_share", "reservation_seconds", "seed", "replan_decisions", "replan_seconds"
)  # fmt: skip
_NAMES = tuple(feature.name for feature in CUSTOMER_FEATURES)
_PERSONAL = frozenset(feature.name for feature in CUSTOMER_FEATURES if feature.personal)
