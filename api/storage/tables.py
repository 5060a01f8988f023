"""Tables of the store, their version, and how an older store becomes a newer one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    text,
    update,
)

from pricing.errors import ArtifactError

__all__ = [
    "ACCESS_KEYS", "CAMPAIGNS", "CHAIN", "COUPON_LIMITS", "COUPON_USES", "CYCLE_STEPS", "DECISIONS",
    "DECISION_CHAIN", "GENESIS", "HOLDERS", "LEDGER", "LEDGER_CHAIN", "MARK_CHAIN", "OFFERS",
    "OFFER_SUBJECTS", "PRICE_MARKS", "PROPOSALS", "PUBLICATIONS", "REDEMPTIONS", "REDEMPTION_LINES",
    "REQUESTS", "RESERVATIONS", "RETURNS", "REVIEWS", "REVIEW_CHAIN", "ROUNDS", "RUNS", "SCHEMA",
    "SUBJECTS", "create", "in_parts",
]  # fmt: skip

SCHEMA = 5
"""Version of the tables; a newer program reads every older one.

Version 1 called the digest of a joint decision its passport, in the table of runs and in what rows hold;
version 2 had no reviews, version 3 no history of prices, version 4 no ledger of coupons.
"""

_AT_ONCE = 500
"""Values that one query names: databases bound how many it may have."""

GENESIS = "0" * 64
"""What the first row of a chain follows."""

DECISION_CHAIN, REVIEW_CHAIN, MARK_CHAIN, LEDGER_CHAIN = 1, 2, 3, 4
"""Rows of :data:`CHAIN`: whose last link it is."""

_TABLES = MetaData()
_VERSION = Table("schema_version", _TABLES, Column("version", Integer, primary_key=True))
CHAIN = Table(
    "chain",
    _TABLES,
    Column("id", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
RUNS = Table(
    "runs",
    _TABLES,
    Column("number", String(8), primary_key=True),
    Column("provenance_digest", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
)
DECISIONS = Table(
    "decisions",
    _TABLES,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("decision_id", String(32), nullable=False, unique=True),
    Column("run", String(8), ForeignKey("runs.number"), nullable=False),
    Column("price_group", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("decisions_by_group", "price_group", "zone", "seq"),
    Index("decisions_by_run", "run", "seq"),
)
REQUESTS = Table(
    "requests",
    _TABLES,
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
)
SUBJECTS = Table(
    "subjects",
    _TABLES,
    Column("pseudonym", String(64), primary_key=True),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
)
ROUNDS = Table(
    "rounds",
    _TABLES,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("run", String(8), ForeignKey("runs.number"), nullable=False),
    Column("content", Text, nullable=False),
    Column("offered_by", Text, nullable=False),
    Column("offered_at", String(40), nullable=False),
)
PROPOSALS = Table(
    "proposals",
    _TABLES,
    Column("round", Integer, ForeignKey("rounds.number"), primary_key=True),
    Column("decision_id", String(32), ForeignKey("decisions.decision_id"), primary_key=True),
    Column("price_group", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("current_price", Integer, nullable=False),
    Column("recommended_price", Integer),
    Column("change", Float, nullable=False),
    Column("profit_change", Integer, nullable=False),
    Column("profit_change_lower", Integer, nullable=False),
    Column("profit_change_upper", Integer, nullable=False),
    Column("probability_of_loss", Float, nullable=False),
    Column("identified_by", String(32), nullable=False),
    Column("binding_guardrail", String(32)),
    Column("digest", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("price", Integer),
    Column("starts_at", String(40)),
    Column("approved_by", Text, nullable=False),
    Column("overridden", Boolean, nullable=False),
    Column("review", Integer, nullable=False),
    Index("proposals_by_state", "round", "state", "profit_change"),
    Index("proposals_by_group", "round", "price_group", "zone"),
    Index("proposals_sorted_by_name", "round", "name", "price_group", "zone"),
    *(
        Index(f"proposals_sorted_by_{name}", "round", text(f"{name} DESC"), "price_group", "zone")
        for name in ("profit_change", "change", "current_price", "probability_of_loss")
    ),
)
"""What a round put up for review, and where each proposal stands: a summary of `decisions` and `reviews`."""
REVIEWS = Table(
    "reviews",
    _TABLES,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("round", Integer, ForeignKey("rounds.number"), nullable=False),
    Column("decision_id", String(32), ForeignKey("decisions.decision_id"), nullable=False),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("reviews_by_decision", "decision_id", "seq"),
)
ACCESS_KEYS = Table(
    "access_keys",
    _TABLES,
    Column("name", String(100), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("made_at", String(40), nullable=False),
    Column("revoked_at", String(40)),
)
CYCLE_STEPS = Table(
    "cycle_steps",
    _TABLES,
    Column("cycle", String(10), primary_key=True),
    Column("step", String(16), primary_key=True),
    Column("content", Text, nullable=False),
    Column("done_at", String(40), nullable=False),
)
PUBLICATIONS = Table(
    "publications",
    _TABLES,
    Column("batch", String(100), primary_key=True),
    Column("product_id", Text, primary_key=True),
    Column("zone", Text, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("cycle", String(10), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("decision_id", String(32), ForeignKey("decisions.decision_id"), nullable=False),
    Column("content", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("intended_at", String(40), nullable=False),
    Column("settled_at", String(40)),
    Column("confirmed_at", String(40)),
    Index("publications_by_cycle", "cycle", "batch", "place"),
    Index("publications_by_decision", "decision_id"),
)
"""One price change on its way out: intended before anything leaves, settled when its result is known."""

PRICE_MARKS = Table(
    "price_marks",
    _TABLES,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("product_id", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("price_group", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("regular", BigInteger, nullable=False),
    Column("offered", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("basis", String(5), nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("source", String(10), nullable=False),
    Column("reference", String(100), nullable=False),
    Column("recorded_at", String(40), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("price_marks_by_product", "product_id", "zone", "at"),
    Index("price_marks_by_group", "price_group", "zone"),
)
"""Every price that was out, from an instant on (UTC microseconds); rows are never changed."""

CAMPAIGNS = Table(
    "campaigns",
    _TABLES,
    Column("campaign_id", String(100), primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("budget", BigInteger),
    Column("held", BigInteger, CheckConstraint("held >= 0"), nullable=False),
    Column("spent", BigInteger, CheckConstraint("spent >= 0"), nullable=False),
)
"""What a campaign may cost, minor units: `held` for reservations at their maximum, `spent` on redemptions."""

COUPON_LIMITS = Table(
    "coupon_limits",
    _TABLES,
    Column("coupon_id", String(100), primary_key=True),
    Column("campaign_id", String(100), ForeignKey("campaigns.campaign_id"), nullable=False),
    Column("code", String(100), unique=True),
    Column("limit_total", Integer),
    Column("limit_per_customer", Integer),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_to", BigInteger, nullable=False),
    Column("taken", Integer, CheckConstraint("taken >= 0"), nullable=False),
    Index("coupon_limits_by_campaign", "campaign_id"),
)
"""How often a coupon may be used; `taken` counts reservations that stand and redemptions."""

HOLDERS = Table(
    "holders",
    _TABLES,
    Column("holder", Integer, primary_key=True),
    Column("pseudonym", String(64), nullable=False, unique=True),
    Column("recorded_at", String(40), nullable=False),
    sqlite_autoincrement=True,
)
"""Who holds coupons: the one place where the ledger knows a pseudonym. A number is never given twice."""

COUPON_USES = Table(
    "coupon_uses",
    _TABLES,
    Column("coupon_id", String(100), ForeignKey("coupon_limits.coupon_id"), primary_key=True),
    Column("holder", Integer, primary_key=True, autoincrement=False),
    Column("taken", Integer, CheckConstraint("taken >= 0"), nullable=False),
    sqlite_with_rowid=False,
)
RESERVATIONS = Table(
    "reservations",
    _TABLES,
    Column("reservation_id", String(32), primary_key=True),
    Column("coupon_id", String(100), ForeignKey("coupon_limits.coupon_id"), nullable=False),
    Column("campaign_id", String(100), ForeignKey("campaigns.campaign_id"), nullable=False),
    Column("holder", Integer),
    Column("decision_id", String(32)),
    Column("code", String(100), unique=True),
    Column("liability", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Index("reservations_by_expiry", "expires_at", sqlite_where=text("state = 'held'")),
    Index("reservations_by_holder", "holder", "coupon_id"),
    Index(
        "reservations_offered",
        "expires_at",
        "reservation_id",
        sqlite_where=text("decision_id IS NOT NULL"),
    ),
    Index(
        "reservations_without_holder",
        "coupon_id",
        sqlite_where=text("code IS NOT NULL AND holder IS NULL AND state = 'held'"),
    ),
)
"""One place kept for one use of a coupon; a code of a pool is one without a holder. Instants are UTC
microseconds."""

REDEMPTIONS = Table(
    "redemptions",
    _TABLES,
    Column("reservation_id", String(32), ForeignKey("reservations.reservation_id"), primary_key=True),
    Column("order_id", String(200), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("taken_back", BigInteger, CheckConstraint("taken_back <= amount"), nullable=False),
    Column("rolled_back", BigInteger, CheckConstraint("rolled_back <= taken_back"), nullable=False),
    Column("within_budget", Boolean, nullable=False),
    Column("redeemed_at", BigInteger, nullable=False),
    Index("redemptions_by_order", "order_id"),
)
REDEMPTION_LINES = Table(
    "redemption_lines",
    _TABLES,
    Column("reservation_id", String(32), ForeignKey("redemptions.reservation_id"), primary_key=True),
    Column("line_id", String(200), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("taken_back", BigInteger, CheckConstraint("taken_back <= amount"), nullable=False),
    Column("returned", BigInteger, CheckConstraint("returned <= quantity"), nullable=False),
    sqlite_with_rowid=False,
)
"""What a coupon took off the lines of an order, and how much of that was taken back since; quantities are
thousandths."""

RETURNS = Table(
    "returns",
    _TABLES,
    Column("source", String(20), primary_key=True),
    Column("event_id", String(200), primary_key=True),
    Column("order_id", String(200), nullable=False),
    Column("content", Text, nullable=False),
    Column("applied", Boolean, nullable=False),
    Column("recorded_at", String(40), nullable=False),
    Index("returns_by_order", "order_id"),
)
"""Refunds that platforms told of, by their identifiers; one that comes before its order waits here."""

OFFERS = Table(
    "offers",
    _TABLES,
    Column("decision_id", String(32), primary_key=True),
    Column("coupon_id", String(100)),
    Column("reservation_id", String(32)),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
    sqlite_with_rowid=False,
)
"""Decisions about coupons; they name nobody, and hold nothing that was known of anybody."""

OFFER_SUBJECTS = Table(
    "offer_subjects",
    _TABLES,
    Column("decision_id", String(32), ForeignKey("offers.decision_id"), primary_key=True),
    Column("holder", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("given", Boolean, nullable=False),
    Column("content", Text, nullable=False),
    Index("offers_by_holder", "holder", "at"),
    Index("offers_by_time", "at", "decision_id"),
    sqlite_with_rowid=False,
)
"""Whom a decision was about and what was known of them then; erasing somebody takes their rows away."""

LEDGER = Table(
    "ledger",
    _TABLES,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("about", String(100), nullable=False),
    Column("content", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ledger_by_subject", "about", "seq"),
)
"""Everything that happened to coupons, one row an effect; rows are never changed and name nobody."""


def in_parts(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield names in lists that a query may hold."""
    for start in range(0, len(names), _AT_ONCE):
        yield list(names[start : start + _AT_ONCE])


def create(connection: Connection) -> int | None:
    """Make what is missing; return the schema that was found, None where there was nothing.

    Raises
    ------
    ArtifactError
        For tables of a newer schema.
    """
    _TABLES.create_all(connection)
    for table in (PROPOSALS, OFFER_SUBJECTS, RESERVATIONS):  # that an older program made lack some indices
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    version = connection.execute(select(_VERSION.c.version)).scalar_one_or_none()
    if version is None:
        connection.execute(insert(_VERSION).values(version=SCHEMA))
    elif version > SCHEMA:
        raise ArtifactError(
            f"The decision store has schema {version}; this Tarifa reads up to {SCHEMA}.",
            todo="Update Tarifa.",
        )
    elif version < SCHEMA:
        if version < 2:
            connection.execute(text("ALTER TABLE runs RENAME COLUMN passport TO provenance_digest"))
        connection.execute(update(_VERSION).values(version=SCHEMA))
    begun = set(connection.execute(select(CHAIN.c.id)).scalars())
    for chain in (DECISION_CHAIN, REVIEW_CHAIN, MARK_CHAIN, LEDGER_CHAIN):
        if chain not in begun:
            connection.execute(insert(CHAIN).values(id=chain, seq=0, hash=GENESIS))
    return None if version is None else int(version)
