"""Tables that Tarifa writes for other programs, version 1, and the scenario that it reads to predict.

This is the only place where a column of an output is named; writers are held to it, and the outputs section
of ``docs/data-contract.md`` follows from it.
"""

from __future__ import annotations

from pricing.columns import Column, ColumnType, Table
from pricing.customer_outputs import CUSTOMER_OUTPUTS
from pricing.evidence import Identification, PriceKind
from pricing.features import FEATURES
from pricing.guardrails import Rule, Status
from pricing.outcomes import Ending, LeftOut, Shelf
from pricing.output_columns import ArrowType, OutputColumn, OutputTable
from pricing.recommendation import Reason
from pricing.standing import NOT_VALIDATED, Verdict

__all__ = [
    "COUPON_ALLOCATIONS",
    "DECISIONS",
    "ELASTICITIES",
    "OUTCOMES",
    "OUTPUTS",
    "PREDICTIONS",
    "RECOMMENDATIONS",
    "ROLLOUTS",
    "SCENARIO",
    "SNAPSHOTS",
    "ArrowType",
    "OutputColumn",
    "OutputTable",
]

_T = ArrowType
_MINOR, _UNITS, _RATIO, _SHARE = "minor units", "units a period", "% per %", "share, 0 to 1"


def _text(name: str, meaning: str, *choices: str, nullable: bool = False) -> OutputColumn:
    return OutputColumn(name, _T.STRING, meaning, nullable=nullable, choices=choices)


def _money(name: str, meaning: str, *, nullable: bool = False) -> OutputColumn:
    return OutputColumn(name, _T.INT64, meaning, _MINOR, nullable)


def _number(name: str, unit: str, meaning: str, *, nullable: bool = False) -> OutputColumn:
    return OutputColumn(name, _T.DOUBLE, meaning, unit, nullable)


def _count(name: str, unit: str, meaning: str, *, nullable: bool = False) -> OutputColumn:
    return OutputColumn(name, _T.INT64, meaning, unit, nullable)


def _date(name: str, meaning: str, *, nullable: bool = False) -> OutputColumn:
    return OutputColumn(name, _T.DATE, meaning, nullable=nullable)


_RULES = tuple(rule.label for rule in Rule)
_STATUSES = tuple(status.label for status in Status)
_EVIDENCE = tuple(how.label for how in Identification)
_RUN_ID = _text("run_id", "Run that the row follows from: twelve hexadecimal digits.")
_ZONE = _text("zone", "Price zone.")
_CHANNEL = _text(
    "channel",
    "Sales channel; null: all channels together. Within a zone all channels have one price, so it is null "
    "throughout.",
    nullable=True,
)
_CURRENCY = _text("currency", "ISO 4217 code of all money in the row.")
_PERIOD = (
    _date("period_start", "First day of the period."),
    _date("period_end", "First day after it."),
)
_WHERE = (_ZONE, _CHANNEL, _CURRENCY)
_PRODUCT = _text("product_id", "Product, or price group where several products share a price.")
_GROUP = _text("price_group", "What has one price; by default the product itself.")
_GROSS = _text("price_basis", "Prices include tax, as shoppers pay them.", "gross")
_SHELF_BASIS = _text("price_basis", "Whether the prices of this row include tax.", "gross", "net")
_EXPECTED = _number("expected_units", _UNITS, "Posterior mean of sales.")
_POLICY = (
    _text("policy", "What decided."),
    _text("policy_version", "Digest of the policy."),
)
_NUMBER = _count("run", "", "Number of the simulated run; the decisions of a run share it.")

ELASTICITIES = OutputTable(
    "elasticities",
    "How far demand for one product in one zone moves with one kind of price. The period is that of the data "
    "that the fit saw.",
    "tarifa elasticities",
    (
        _RUN_ID,
        _PRODUCT,
        *_WHERE,
        *_PERIOD,
        _GROSS,
        _text("kind", "Which price moved.", *(kind.label for kind in PriceKind)),
        _money(
            "at_price",
            "Price at which it holds: the last known regular price, or the last known shelf price for the "
            "discount kind.",
        ),
        _number(
            "elasticity",
            _RATIO,
            "Posterior mean: units against price, in the same period. An arc elasticity: from 10 % below to "
            "10 % above at_price for the regular kind, of 20 % off for the discount kind.",
        ),
        _number("lower", _RATIO, "Lower end of its 90 % interval."),
        _number("upper", _RATIO, "Upper end of its 90 % interval."),
        _text("identified_by", "What tells it, strongest first.", *_EVIDENCE),
        _number(
            "sensitivity_lower",
            _RATIO,
            "Lower end if price and unobserved demand had moved together a little.",
        ),
        _number("sensitivity_upper", _RATIO, "Upper end in that case."),
        _money("support_low", "Lowest price of the kind ever observed."),
        _money("support_high", "Highest price of the kind ever observed."),
    ),
    ("run_id", "product_id", "zone", "kind"),
)

PREDICTIONS = OutputTable(
    "predictions",
    "One row of the scenario, in the scenario's order. The scenario's own columns come first, as they were "
    "given and in their order: its prices stay decimal amounts. Those that the contract knows too keep their "
    "place and get the contract's type; the contract's others follow.",
    "tarifa predict",
    (
        _RUN_ID,
        _PRODUCT,
        *_WHERE,
        *_PERIOD,
        _GROSS,
        _count(
            "periods_ahead",
            "periods",
            "1 is the first period after those that the fit saw.",
        ),
        _EXPECTED,
        _number("lower", _UNITS, "Lower end of the 90 % interval of the mean."),
        _number("upper", _UNITS, "Upper end of the 90 % interval of the mean."),
        _number("units_lower", _UNITS, "Lower end of the 90 % interval of sales; whole units."),
        _number("units_upper", _UNITS, "Upper end of the 90 % interval of sales; whole units."),
    ),
    (),
)

_STANDINGS = (*(verdict.value for verdict in Verdict), NOT_VALIDATED)
_UNDER = (
    _text("passport", "SHA-256 of the demand model's passport; null: it was not validated.", nullable=True),
    _text("model_verdict", "What that passport says of the model as a whole.", *_STANDINGS),
    OutputColumn(
        "accepted_checks", _T.STRINGS, "Checks of that passport that failed, each accepted by its name."
    ),
    _text(
        "policy_passport",
        "SHA-256 of the passport of the model that the policy was trained on; null: the policy was made on "
        "this run's model, or trained on one that was not validated.",
        nullable=True,
    ),
    _text(
        "policy_verdict",
        "What that passport says of that model; null: the policy was made on this run's model.",
        *_STANDINGS,
        nullable=True,
    ),
)
"""Under which passport a decision was made: the model's, and that of the model its policy was trained on."""

RECOMMENDATIONS = OutputTable(
    "recommendations",
    "The coming period's price of one price group in one zone. What concerns all rows stands in the file's "
    "metadata under `tarifa.summary`, as JSON.",
    "tarifa recommend",
    (
        _RUN_ID,
        _text("decision_id", "32 hexadecimal digits: series (16), first day (8), run (8)."),
        _GROUP,
        *_WHERE,
        *_PERIOD,
        _money("current_price", "Regular price in force."),
        _money("recommended_price", "Regular price recommended; null: blocked, no price is.", nullable=True),
        _SHELF_BASIS,
        _date("valid_from", "First day on which it holds: `period_start`."),
        _number("expected_units", _UNITS, "Posterior mean of sales at the recommended price."),
        _money("expected_profit", "Posterior mean of the period's net profit at the recommended price."),
        _money("profit_change", "Posterior mean of the change against keeping the price."),
        _money("profit_change_lower", "Lower end of its 90 % interval."),
        _money("profit_change_upper", "Upper end of its 90 % interval."),
        _number("probability_of_loss", _SHARE, "Posterior probability that the change loses money."),
        OutputColumn("at_bound", _T.BOOL, "A rule ends the allowed set where the recommendation stands."),
        _money(
            "prior_price",
            "From which a reduction announced right after the period is counted: the lowest shelf price of "
            "30 days, this one included; null: blocked.",
            nullable=True,
        ),
        _date(
            "prior_price_until",
            "Last day on which an announced reduction is counted from the recommended price or a lower one; "
            "null: blocked.",
            nullable=True,
        ),
        _money(
            "prior_price_cost",
            "Expected profit of the period that the rule prior_price costs: the best price open without it "
            "less the price decided; 0 where it does not bind.",
        ),
        _text("identified_by", "What tells the effect of price, strongest first.", *_EVIDENCE),
        _text(
            "binding_guardrail",
            "Rule that kept the unconstrained choice from happening; null: none did.",
            *_RULES,
            nullable=True,
        ),
        OutputColumn(
            "reason_codes",
            _T.STRINGS,
            "Why, the most important first.",
            choices=tuple(reason.value for reason in Reason),
        ),
        _text("status", "What became of the allowed set.", *_STATUSES),
        _text("release", "What decided: policy@version."),
        _text("provenance_digest", "SHA-256 of everything that the decision follows from."),
        *_UNDER,
    ),
    ("decision_id",),
    version=3,
)

ROLLOUTS = OutputTable(
    "rollouts",
    "What one policy brought in one simulated run and period, over all its products; `rollouts.parquet` in "
    "the folder.",
    "tarifa simulate",
    (
        _RUN_ID,
        *_POLICY,
        _count("world", "", "Number of the sampled world; all policies meet the same ones."),
        _count("seed", "", "Number of the run in its world; its noise follows from it."),
        _NUMBER,
        _text("zone", "Null: all zones together.", nullable=True),
        _CHANNEL,
        _CURRENCY,
        _count("period", "periods", "0 is the first."),
        *_PERIOD,
        _money("profit", "Net profit."),
        _number("units", _UNITS, "Units sold."),
        _number("moved_share", _SHARE, "Share of the products whose price moved."),
    ),
    ("policy", "run", "period"),
)

DECISIONS = OutputTable(
    "decisions",
    "One decision: one price group in one zone, simulated run and period; `decisions.parquet` in the folder, "
    "on demand. Lists have one entry a rung of the ladder; all policies that meet the same situation share "
    "its `decision_id`.",
    "tarifa simulate --decisions",
    (
        _RUN_ID,
        _text("decision_id", "32 hexadecimal digits: series (16), first day (8), run (8)."),
        *_POLICY,
        _NUMBER,
        _GROUP,
        *_WHERE,
        *_PERIOD,
        _SHELF_BASIS,
        _money("current_price", "Regular price in force."),
        _money("price", "Regular price decided; null: blocked, none is.", nullable=True),
        _money(
            "low_30_days",
            "Lowest shelf price of the 30 days before, which an announced reduction is counted from.",
        ),
        OutputColumn("menu", _T.INT64S, "Ladder of candidate prices, ascending.", _MINOR),
        OutputColumn("allowed", _T.BOOLS, "Whether the price could be chosen."),
        OutputColumn(
            "rejections", _T.STRING_LISTS, "Rules that the price breaks, the strongest first.", choices=_RULES
        ),
        OutputColumn("probabilities", _T.DOUBLES, "Probability of choosing it.", _SHARE),
        OutputColumn(
            "propensity", _T.DOUBLE, "Probability of the price decided; null: blocked.", _SHARE, nullable=True
        ),
        _count("draw", "", "Stored posterior draw that was used; null: the policy has none.", nullable=True),
        _text("status", "What became of the allowed set.", *_STATUSES),
        OutputColumn("relaxed", _T.STRINGS, "Soft rules that were given up.", choices=_RULES),
        _text(
            "binding_guardrail",
            "Rule that kept the unconstrained choice from happening; null: none did.",
            *_RULES,
            nullable=True,
        ),
        OutputColumn(
            "features",
            _T.DOUBLES,
            f"What the policy read: {', '.join(feature.name for feature in FEATURES)}.",
        ),
        _text("model_fingerprint", "SHA-256 of the data that the model was fitted on."),
        OutputColumn("personalised", _T.BOOL, "A feature that was read is personal data."),
        _count("record_version", "", "Version of the decision record."),
        *_UNDER,
    ),
    ("policy", "decision_id"),
)

_NOT_FORETOLD = "null: nothing could be foretold, see left_out."

OUTCOMES = OutputTable(
    "outcomes",
    "What came of one decision: one price group in one zone and period that has begun. A later cycle states "
    "it anew, late refunds included. Expected is what the run that decided foretells at the price that stood "
    "and with the promotions that ran: a check of the forecast. Whether new prices paid it cannot tell.",
    "tarifa cycle",
    (
        _RUN_ID,
        _text("decision_id", "32 hexadecimal digits: series (16), first day (8), run (8)."),
        _GROUP,
        *_WHERE,
        *_PERIOD,
        _count("days", "days", "Days of the period that the data cover."),
        _SHELF_BASIS,
        _money("current_price", "Regular price in force when it was decided."),
        _money("recommended_price", "Regular price recommended; null: blocked, no price was.", nullable=True),
        _money(
            "approved_price", "Regular price that stood approved in the end; null: none did.", nullable=True
        ),
        _money("published_price", "Regular price that went out; null: none did.", nullable=True),
        _date("published_on", "Local day on which it went out; null: none did.", nullable=True),
        _text("ending", "What became of the recommendation.", *(word.value for word in Ending)),
        _money(
            "regular_price",
            "Regular price that stood on the shelf, mean over the units sold; null: no sale and no posted "
            "price tells it.",
            nullable=True,
        ),
        _money(
            "shelf_price",
            "The same of the price that was charged before coupons; null: as there.",
            nullable=True,
        ),
        _text(
            "shelf",
            "Which price that regular price is, to half a minor unit; null: nothing tells.",
            *(word.value for word in Shelf),
            nullable=True,
        ),
        _number("in_stock", _SHARE, "Share of the group's products, and of the period, in stock."),
        OutputColumn("ran_out", _T.BOOL, "It was out of stock for a part of the period."),
        _number("units", _UNITS, "Units sold, later returns included."),
        _number(
            "units_if_in_stock",
            _UNITS,
            "Units sold over the share in stock; null: none was in stock, or it ran out at an unknown time.",
            nullable=True,
        ),
        _money("revenue", "Net of tax and of discounts that the shop paid, less refunds so far."),
        _money("profit", "Net profit; returns still to be expected are taken off."),
        OutputColumn("cost_assumed", _T.BOOL, "Its cost is the shop file's assumption."),
        _number("expected_units", _UNITS, f"Mean foretold; {_NOT_FORETOLD}", nullable=True),
        _number(
            "units_lower", _UNITS, f"Lower end of the 90 % interval of sales; {_NOT_FORETOLD}", nullable=True
        ),
        _number("units_upper", _UNITS, f"Upper end of it; {_NOT_FORETOLD}", nullable=True),
        _money("expected_profit", f"Mean foretold of net profit; {_NOT_FORETOLD}", nullable=True),
        _money("profit_lower", f"Net profit at one end of that interval; {_NOT_FORETOLD}", nullable=True),
        _money("profit_upper", f"Net profit at the other end; {_NOT_FORETOLD}", nullable=True),
        _text(
            "left_out",
            "Why the row is no check of the forecast; null: it is one.",
            *(word.value for word in LeftOut),
            nullable=True,
        ),
        _text("fingerprint", "SHA-256 of the data that tell what was sold."),
    ),
    ("decision_id",),
)

SNAPSHOTS = OutputTable(
    "snapshots",
    "What was known of one price group in one zone when a cycle decided.",
    "tarifa cycle",
    (
        _RUN_ID,
        _GROUP,
        *_WHERE,
        *_PERIOD,
        _SHELF_BASIS,
        _money("price", "Regular price in force."),
        _money("low_30_days", "Lowest shelf price of the 30 days before."),
        _money("unit_cost", "Net cost of a unit."),
        OutputColumn("cost_assumed", _T.BOOL, "That cost is the shop file's assumption."),
        _number("stock", "units", "Units on hand; null: stock is not tracked.", nullable=True),
        _text("fingerprint", "SHA-256 of the data that it was read from."),
    ),
    ("run_id", "price_group", "zone"),
)

COUPON_ALLOCATIONS = OutputTable(
    "coupon_allocations",
    "What one customer is offered. It holds in all zones and channels, for as long as the coupon itself "
    "says. Expectations are fractions of a minor unit: rounded, a million customers would not add up. Shadow "
    "prices, the certified gap and what is drawn on each limit stand in the file's metadata under "
    "`tarifa.summary`, as JSON.",
    "tarifa coupons allocate",
    (
        _RUN_ID,
        _CURRENCY,
        _text("customer_id", "Keyed pseudonym of the customer. About a person."),
        _text("coupon_id", "Coupon; null: none.", nullable=True),
        _number(
            "expected_incremental_profit", "minor units a customer", "Net profit more than without a coupon."
        ),
        _number("expected_cost", "minor units a customer", "What redemptions are expected to cost."),
        _number(
            "propensity",
            _SHARE,
            "Probability of this offer, or of none, over the draw of the holdout.",
        ),
    ),
    ("run_id", "customer_id"),
)

OUTPUTS: tuple[OutputTable, ...] = (
    ELASTICITIES, PREDICTIONS, RECOMMENDATIONS, ROLLOUTS, DECISIONS, OUTCOMES, SNAPSHOTS, COUPON_ALLOCATIONS,
    *CUSTOMER_OUTPUTS,
)  # fmt: skip
"""Every table that Tarifa writes, in the order in which they are documented."""

SCENARIO = Table(
    "scenario",
    "What to predict: one product in one zone and period at a price. Prices are decimal amounts with tax.",
    "`tarifa predict`.",
    (
        Column("product_id", ColumnType.TEXT, "Product or price group of the run.", required=True),
        Column("zone", ColumnType.TEXT, "Price zone; may be empty where the product is sold in one only."),
        Column("channel", ColumnType.TEXT, "Empty: a run predicts all channels together."),
        Column(
            "period_start",
            ColumnType.TIME,
            "First day of a period of the run, as a date, a timestamp at midnight or text like 2025-11-03.",
            required=True,
        ),
        Column("period_end", ColumnType.TIME, "First day after it; absent: follows from the run's periods."),
        Column("offered_price", ColumnType.UNIT_PRICE, "Shelf price.", required=True, above=0.0),
        Column("regular_price", ColumnType.UNIT_PRICE, "Absent: as last known.", above=0.0),
        Column("feature", ColumnType.SHARE, "Share advertised; absent: as last known.", low=0.0, high=1.0),
        Column("display", ColumnType.SHARE, "Share displayed; absent: as last known.", low=0.0, high=1.0),
        Column("currency", ColumnType.TEXT, "ISO 4217; absent: the run's. Another one is an error."),
        Column("price_basis", ColumnType.TEXT, "Absent: gross.", choices=("gross",)),
    ),
)
"""Input of a prediction, with the meaning of its columns; it is no table of a shop's data folder."""
