"""What goes over the wire about prices. Money is integer minor units with its currency and a decimal text."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.prices.service import Answer, Ask, Page, Served
from api.standing_texts import check_name, check_names, standing_short
from api.storage.store import Run, Stored
from api.texts import Texts
from pricing.decision import recorded_rules
from pricing.money import Currency
from pricing.recommendation import Curve
from pricing.standing import Standing

__all__ = [
    "AcceptedCheck",
    "CurvePoint",
    "Detail",
    "Money",
    "Policies",
    "PolicyInfo",
    "Recommendation",
    "RecommendationPage",
    "RecommendationRequest",
    "RecommendationResponse",
    "RunInfo",
    "Rung",
    "StandingInfo",
]

_NOT_RECORDED = "not_recorded"
_PASSPORT = "SHA-256 of the demand model's passport; null: there is none."
_VERDICT = (
    "What that passport says of the model: `passed`, `failed`, `not_applicable` (its data allow no check); "
    "`not_validated` where there is none, `not_recorded` in what was decided before passports were kept."
)
_ACCEPTED = "Checks of that passport that failed, each accepted by its name (codes)."
_TRAINED = "The same of the model that the policy was trained on; null where it was made on the run's own."

Name = Annotated[str, Field(min_length=1, max_length=200)]
Cursor = Annotated[str, Field(min_length=1, max_length=100)]
Day = Annotated[str, Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class Money(BaseModel):
    """An amount of money."""

    minor: int = Field(description="Minor units (cents).")
    currency: str = Field(description="ISO 4217.")
    amount: str = Field(description="The same as a decimal number.")

    @staticmethod
    def of(minor: int, currency: str) -> Money:
        """Write minor units of a currency."""
        return Money(minor=minor, currency=currency, amount=_currency(currency).decimal(minor))


class RecommendationRequest(BaseModel):
    """Which recommendations are wanted."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"price_groups": ["1082185"]}]}
    )

    price_groups: Annotated[list[Name], Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="Price groups; absent: all of the run."
    )
    zone: Name | None = Field(default=None, description="Only this zone; absent: every zone.")
    as_of: Day | None = Field(
        default=None, description="The day on which things must be known; refused if it is not the run's own."
    )
    policy: Name | None = Field(
        default=None, description="One of `GET /v1/policies`; absent: the one the service decides by."
    )
    limit: int = Field(
        default=100, ge=1, le=1000, description="Most recommendations in this answer if all are wanted."
    )
    cursor: Cursor | None = Field(
        default=None, description="`next` of the answer before; everything else as in that request."
    )

    def ask(self) -> Ask:
        """Return what the service is asked."""
        groups = None if self.price_groups is None else tuple(self.price_groups)
        return Ask(groups, self.zone, self.as_of, self.policy, self.limit, self.cursor)


class Recommendation(BaseModel):
    """One recommended price; intervals are of 90 %."""

    decision_id: str = Field(description="Identifier; read it again under it.")
    price_group: str
    zone: str
    current_price: Money = Field(description="Regular shelf price in force.")
    recommended_price: Money | None = Field(description="Null where no price is allowed.")
    price_basis: str = Field(description="`gross` or `net`: what shelf prices are.")
    valid_from: str = Field(description="First day of the period.")
    valid_to: str = Field(description="First day after it.")
    expected_units: float
    expected_profit: Money = Field(description="Net profit of the period at the recommended price.")
    profit_change: Money = Field(description="Against keeping the price.")
    profit_change_lower: Money
    profit_change_upper: Money
    probability_of_loss: float = Field(ge=0, le=1)
    prior_price: Money | None = Field(
        description="From which a reduction announced right after the period is counted: the lowest shelf "
        "price of 30 days, this one included. Null where no price is allowed, or where it was not recorded."
    )
    prior_price_until: str | None = Field(
        description="Last day on which an announced reduction is counted from the recommended price or less."
    )
    prior_price_cost: Money | None = Field(
        description="Expected profit of the period that the rule prior_price costs; 0 where it is not the "
        "binding one, null where it was not recorded."
    )
    identified_by: str = Field(description="How the response to price is known (code).")
    binding_guardrail: str | None = Field(description="The rule that stopped the price, if one did (code).")
    at_bound: bool = Field(description="A rule, not the optimum, ends the price where it is.")
    reason_codes: list[str]
    reasons: list[str] = Field(description="The same as sentences in the reader's language.")
    status: str = Field(description="What became of the allowed prices (code).")
    release: str = Field(description="Policy and version that decided.")
    provenance_digest: str = Field(description="SHA-256 of everything that the decision follows from.")
    passport: str | None = Field(description=_PASSPORT)
    model_verdict: str = Field(description=_VERDICT)
    accepted_checks: list[str] = Field(description=_ACCEPTED)
    recorded_at: str

    @staticmethod
    def of(stored: Stored, texts: Texts) -> Recommendation:
        """Read a recorded decision."""
        return Recommendation(**_values(stored, texts))


class StandingInfo(BaseModel):
    """Under which passport something was made, and what was accepted of it."""

    passport: str | None = Field(description=_PASSPORT)
    model_verdict: str = Field(description=_VERDICT)
    accepted_checks: list[str] = Field(description=_ACCEPTED)

    @staticmethod
    def of(document: dict[str, Any] | None) -> StandingInfo:
        """Read a recorded standing; None where none was recorded."""
        return StandingInfo(**_standing(document))


class RunInfo(BaseModel):
    """The joint decision that recommendations belong to."""

    run: str = Field(description="Number: the last eight digits of its decision identifiers.")
    provenance_digest: str = Field(description="SHA-256 of everything that the decision follows from.")
    data_fingerprint: str
    policy: str
    policy_version: str
    as_of: str
    series: int = Field(description="Series decided jointly.")
    moved: int = Field(description="How many prices move.")
    at_bound_share: float = Field(description="Share, among prices that the evidence lets move, at a bound.")
    driven_by_limits: bool = Field(description="That share is above 30 %: limits, not data, drive the run.")
    shadow_price: float = Field(description="Profit (minor units) that one more move would bring.")
    passport: str | None = Field(description=_PASSPORT)
    model_verdict: str = Field(description=_VERDICT)
    accepted_checks: list[str] = Field(description=_ACCEPTED)
    trained_under: StandingInfo | None = Field(description=_TRAINED)

    @staticmethod
    def of(run: Run) -> RunInfo:
        """Read a recorded run."""
        named = {"run": run.number, "provenance_digest": run.provenance_digest}
        content: dict[str, Any] = {**run.content, **named, **_standing(run.content.get("standing"))}
        content["trained_under"] = _trained(run.content.get("trained_under"))
        return RunInfo(**{name: content[name] for name in RunInfo.model_fields})


class PolicyInfo(BaseModel):
    """A policy that is served, and its joint decision for the coming period."""

    name: str = Field(description="As `policy` of a request names it.")
    default: bool = Field(description="It decides where a request names none.")
    kind: str = Field(
        description="`rule`, `planner` (computes from the model), `bandit` (tries prices out), `learned` "
        "(trained in simulation), or `other`."
    )
    version: str = Field(description="SHA-256 of its artifact.")
    release: str = Field(description="Name and version, short: what every recommendation of it carries.")
    valid_from: str = Field(description="First day of the period that it has decided.")
    valid_to: str = Field(description="First day after it.")
    run: RunInfo

    @staticmethod
    def of(served: Served) -> PolicyInfo:
        """Read what is served."""
        return PolicyInfo(
            name=served.name,
            default=served.default,
            kind=served.kind,
            version=served.version,
            release=served.made.release,
            valid_from=served.made.shelf.catalogue.as_of,
            valid_to=served.made.valid_to,
            run=RunInfo.of(served.run),
        )


class Policies(BaseModel):
    """The policies that are served, the default one first."""

    items: list[PolicyInfo]


class RecommendationPage(BaseModel):
    """Recorded recommendations in the order in which they were recorded."""

    items: list[Recommendation]
    next: str | None = Field(description="Cursor of what follows; null at the end.")

    @staticmethod
    def listing(page: Page, texts: Texts) -> RecommendationPage:
        """Write a page."""
        return RecommendationPage(
            items=[Recommendation.of(row, texts) for row in page.rows], next=page.cursor
        )


class RecommendationResponse(BaseModel):
    """The answer to a request for recommendations."""

    run: RunInfo
    items: list[Recommendation]
    next: str | None = Field(
        description="Where all were wanted: send the same request with this as `cursor`; null at the end."
    )

    @staticmethod
    def of(answer: Answer, texts: Texts) -> RecommendationResponse:
        """Write an answer."""
        page = RecommendationPage.listing(answer.page, texts)
        return RecommendationResponse(run=RunInfo.of(answer.run), items=page.items, next=page.next)


class Rung(BaseModel):
    """One price of the menu and what became of it."""

    price: Money
    allowed: bool
    probability: float = Field(description="With which the policy would choose it.")
    rules: list[str] = Field(description="Rules that it breaks, the highest precedence first (codes).")
    rejections: list[str] = Field(description="The same in the reader's language.")


class CurvePoint(BaseModel):
    """Demand and profit of a period at one price; intervals of 90 % of the mean."""

    price: Money
    units: float
    units_lower: float
    units_upper: float
    profit: Money
    profit_lower: Money
    profit_upper: Money
    supported: bool = Field(description="The price lies within what was ever observed.")


class AcceptedCheck(BaseModel):
    """A check that the demand model failed, and that was accepted by its name."""

    code: str
    name: str = Field(description="What it is called in the reader's language.")


class Detail(Recommendation):
    """One recommendation with everything behind it."""

    failed_checks: list[AcceptedCheck] = Field(
        description="What `accepted_checks` are called: the model failed them, and somebody accepted each."
    )
    trained_under: StandingInfo | None = Field(description=_TRAINED)
    menu: list[Rung]
    curve: list[CurvePoint] | None = Field(
        description="Null where the decision was made by a run that is not served now."
    )
    propensity: float | None = Field(description="Probability with which this price was chosen.")
    policy_version: str
    model_fingerprint: str
    context_hash: str
    personalised: bool = Field(description="Whether personal data were read. Never, for shelf prices.")
    row_hash: str = Field(description="Hash of the recorded row, which covers the row before it.")
    run: RunInfo | None

    @staticmethod
    def full(stored: Stored, run: Run | None, curve: Curve | None, texts: Texts) -> Detail:
        """Read a recorded decision and what stands behind it."""
        decision, currency = stored.content["decision"], str(stored.content["currency"])
        names = ("propensity", "policy_version", "model_fingerprint", "context_hash", "personalised")
        values = _values(stored, texts)
        checks = [
            AcceptedCheck(code=code, name=check_name(code, texts)) for code in values["accepted_checks"]
        ]
        return Detail(
            **values,
            failed_checks=checks,
            trained_under=_trained(stored.content["recommendation"].get("trained_under")),
            menu=_menu(decision, currency, texts),
            curve=None if curve is None else _points(curve, currency),
            **{name: decision[name] for name in names},
            row_hash=stored.digest,
            run=None if run is None else RunInfo.of(run),
        )


_currency = cache(Currency.of)

_MONEY = (
    "current_price",
    "recommended_price",
    "expected_profit",
    "profit_change",
    "profit_change_lower",
    "profit_change_upper",
    "prior_price",
    "prior_price_cost",
)


def _values(stored: Stored, texts: Texts) -> dict[str, Any]:
    values = _current(stored.content["recommendation"])
    codes = values.pop("reasons")
    for name in _MONEY:
        if values[name] is not None:
            values[name] = Money.of(values[name], str(stored.content["currency"]))
    binding = values["binding_guardrail"]
    rule = texts.text("word", "none") if binding is None else texts.text("rule", binding)
    trained = values.pop("trained_under")
    said = {
        "rule": rule,
        "checks": check_names(values["accepted_checks"], texts),
        "trained": ""
        if trained is None
        else standing_short(Standing.of(trained, "The recorded decision"), texts),
    }
    sentences = [texts.text("reason", code, **said) for code in codes]
    return {**values, "reason_codes": codes, "reasons": sentences, "recorded_at": stored.recorded_at}


def _current(written: dict[str, Any]) -> dict[str, Any]:
    """Return a recommendation as it is answered today; schema 1 called its provenance a passport."""
    values = dict(written)
    if "provenance_digest" not in values:
        values["provenance_digest"] = values.pop("passport")
    prior = {name: values.get(name) for name in ("prior_price", "prior_price_until", "prior_price_cost")}
    under = {**_standing(values.pop("standing", None)), "trained_under": values.get("trained_under")}
    return {**values, **prior, **under}


def _standing(document: Any) -> dict[str, Any]:
    """Return the fields that say under which passport something was made."""
    absent: dict[str, Any] = {"passport": None, "verdict": _NOT_RECORDED, "accepted": []}
    found: dict[str, Any] = absent if document is None else document
    return {
        "passport": found["passport"],
        "model_verdict": found["verdict"],
        "accepted_checks": found["accepted"],
    }


def _trained(document: Any) -> StandingInfo | None:
    return None if document is None else StandingInfo.of(document)


def _menu(decision: dict[str, Any], currency: str, texts: Texts) -> list[Rung]:
    columns = (decision[name] for name in ("menu", "allowed", "probabilities", "rejections"))
    schema = int(decision["schema"])
    rungs: list[Rung] = []
    for price, allowed, probability, bits in zip(*columns, strict=True):
        rules = [rule.label for rule in recorded_rules(bits, schema)]
        rungs.append(
            Rung(
                price=Money.of(price, currency),
                allowed=allowed,
                probability=probability,
                rules=rules,
                rejections=[texts.text("rule", rule) for rule in rules],
            )
        )
    return rungs


def _points(curve: Curve, currency: str) -> list[CurvePoint]:
    return [
        CurvePoint(
            price=Money.of(int(curve.price[i]), currency),
            units=float(curve.units[i]),
            units_lower=float(curve.units_lower[i]),
            units_upper=float(curve.units_upper[i]),
            profit=Money.of(round(float(curve.profit[i])), currency),
            profit_lower=Money.of(round(float(curve.profit_lower[i])), currency),
            profit_upper=Money.of(round(float(curve.profit_upper[i])), currency),
            supported=bool(curve.supported[i]),
        )
        for i in range(len(curve.price))
    ]
