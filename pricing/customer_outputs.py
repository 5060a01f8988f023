"""Tables of single customers that Tarifa writes: people who agreed, by pseudonym, and nobody else."""

from __future__ import annotations

from pricing.output_columns import ArrowType, OutputColumn, OutputTable

__all__ = [
    "COUPON_RELEVANCE",
    "CUSTOMER_OUTPUTS",
    "CUSTOMER_PROFILES",
    "NEXT_PRODUCTS",
    "OPEN_CARTS",
    "SEGMENTS",
]

SEGMENTS = ("best", "loyal", "new", "slipping", "asleep", "regular", "not_known")
"""Groups by recency, frequency and money."""

_T = ArrowType
_COMMAND = "tarifa customers report"
_MINOR, _SHARE, _DAYS = "minor units", "share, 0 to 1", "days"
_ORDER_DAYS = "days with an order"
_SCORE = "score, 1 to 5"
_RUN_ID = OutputColumn("run_id", _T.STRING, "Report that the row is of: twelve hexadecimal digits.")
_CURRENCY = OutputColumn("currency", _T.STRING, "ISO 4217 code of all money in the row.")
_CUSTOMER = OutputColumn("customer_id", _T.STRING, "Keyed pseudonym of the customer. About a person.")
_AS_OF = OutputColumn("as_of", _T.DATE, "First day that was not read.")
_HORIZON = OutputColumn("horizon_days", _T.INT64, "How far was looked ahead, from `as_of` on.", _DAYS)
_RANK = OutputColumn("rank", _T.INT64, "Place in the customer's list, 1 the likeliest.", "place")
_NONE = "null: no order in the last 365 days"
_NO_OUTLOOK = "null: the data cannot tell"


def _number(name: str, unit: str, meaning: str, *, nullable: bool = False) -> OutputColumn:
    return OutputColumn(name, _T.DOUBLE, meaning, unit, nullable)


def _count(name: str, unit: str, meaning: str, *, nullable: bool = False) -> OutputColumn:
    return OutputColumn(name, _T.INT64, meaning, unit, nullable)


def _day(name: str, meaning: str) -> OutputColumn:
    return OutputColumn(name, _T.DATE, meaning, nullable=True)


CUSTOMER_PROFILES = OutputTable(
    "customer_profiles",
    "What is known and expected of one customer who agreed. Customers who did not are in no row. Relevance, "
    "segment and outlook predict; none of them says what a coupon would add.",
    _COMMAND,
    (
        _RUN_ID,
        _CURRENCY,
        _CUSTOMER,
        _AS_OF,
        OutputColumn("segment", _T.STRING, "Group by recency, frequency and money.", choices=SEGMENTS),
        _count("cluster", "number", "Cluster of behaviour, from 1; null: none was told.", nullable=True),
        _count("recency_score", _SCORE, f"How lately; {_NONE}.", nullable=True),
        _count("frequency_score", _SCORE, f"How often; {_NONE}.", nullable=True),
        _count("monetary_score", _SCORE, f"For how much; {_NONE}.", nullable=True),
        _count("days_since_order", _DAYS, "Since the last order; null: none in 730 days.", nullable=True),
        _count("order_days", _ORDER_DAYS, "In the last 365 days."),
        _count("revenue", _MINOR, "Of the last 365 days, net of tax, discounts and refunds."),
        _count("profit", _MINOR, "Of the last 365 days; null: costs are not known.", nullable=True),
        _HORIZON,
        _number("returns", _SHARE, f"Probability of an order by then; {_NO_OUTLOOK}.", nullable=True),
        _number(
            "returns_lower", _SHARE, f"Its lower end, by what is not known of the customer; {_NO_OUTLOOK}.",
            nullable=True,
        ),
        _number("returns_upper", _SHARE, f"Its upper end (90 %); {_NO_OUTLOOK}.", nullable=True),
        _number("expected_order_days", _ORDER_DAYS, f"Within the horizon; {_NO_OUTLOOK}.", nullable=True),
        _count("order_days_lower", _ORDER_DAYS, f"Lower end of how many; {_NO_OUTLOOK}.", nullable=True),
        _count("order_days_upper", _ORDER_DAYS, f"Upper end of that (90 %); {_NO_OUTLOOK}.", nullable=True),
        _day("next_order", "Median day of the next order; null: later than can be told."),
        _day("next_order_lower", "Early end of its 90 % interval; null: later than can be told."),
        _day("next_order_upper", "Late end of it; null: later than can be told."),
        _number(
            "usual_order_days", _ORDER_DAYS,
            "In as many days, at the customer's own pace; null: fewer than four days with an order.",
            nullable=True,
        ),
        _number(
            "comes_less", _SHARE,
            "Probability of fewer than half of `usual_order_days`; null: those are not known, or below one.",
            nullable=True,
        ),
        OutputColumn(
            "likely_less", _T.BOOL,
            f"That is likelier than not; {_NO_OUTLOOK}.",
            nullable=True,
        ),
    ),
    ("run_id", "customer_id"),
)  # fmt: skip


def _ranked(name: str, meaning: str, listed: OutputColumn, probability: str) -> OutputTable:
    """Return a table of what is listed for each customer, the likeliest first."""
    chance = _number("probability", _SHARE, probability)
    columns = (_RUN_ID, _CUSTOMER, _AS_OF, _HORIZON, _RANK, listed, chance)
    return OutputTable(name, meaning, _COMMAND, columns, ("run_id", "customer_id", "rank"))


NEXT_PRODUCTS = _ranked(
    "next_products",
    "What one customer who agreed is likeliest to buy next.",
    OutputColumn("product_id", _T.STRING, "Product."),
    "That the customer buys it within the horizon.",
)

COUPON_RELEVANCE = _ranked(
    "coupon_relevance",
    "Which coupons in force one customer who agreed would care for. It does not say that one pays: who would "
    "have bought anyway comes first (`tarifa coupons fit` says what a coupon adds).",
    OutputColumn("coupon_id", _T.STRING, "Coupon that is good for some products only."),
    "That the customer buys something it is good for within the horizon.",
)

OPEN_CARTS = OutputTable(
    "open_carts",
    "A cart of a customer who agreed, touched in the last 14 days and not bought. Carts of sessions that "
    "belong to nobody are counted in the report and listed nowhere.",
    _COMMAND,
    (
        _RUN_ID,
        _CURRENCY,
        _CUSTOMER,
        _count("cart", "number", "Number of the cart among the customer's, the latest first."),
        OutputColumn("cart_id", _T.STRING, "As in `events`; null: the shop records none.", nullable=True),
        _AS_OF,
        _number("hours", "hours", "Since it was last touched."),
        _count("value", _MINOR, "What lies in it at median shelf prices; null: unknown.", nullable=True),
        _number("bought", _SHARE, "Probability that it is bought within 14 days of that touch."),
        _number("abandoned", _SHARE, "Probability that it is not."),
        _number("call_after", "hours", "Silence after which it may be called abandoned with 90 % certainty."),
    ),
    ("run_id", "customer_id", "cart"),
)

CUSTOMER_OUTPUTS = (CUSTOMER_PROFILES, NEXT_PRODUCTS, COUPON_RELEVANCE, OPEN_CARTS)
"""All of them, in the order in which they are documented."""
