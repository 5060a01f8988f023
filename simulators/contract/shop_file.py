"""``shop.toml``: everything that a shop must say about itself once, in one documented file."""

from __future__ import annotations

import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, get_args

from pricing.approval import ApprovalSettings
from pricing.errors import DataError, SettingsError
from pricing.guardrails import GuardrailSettings
from pricing.menu import Endings
from pricing.money import Currency
from pricing.schema import CONTRACT_VERSION
from simulators.contract.coupon_section import COUPONS, CouponSection
from simulators.contract.declared import check_attributes, check_columns, check_date_format
from simulators.contract.guardrail_section import GUARDRAILS, GuardrailSection
from simulators.contract.settings import Says, Setting, parse, render, settings_of, within
from simulators.contract.woocommerce_section import WOOCOMMERCE, WooCommerce

__all__ = [
    "SHOP_FILE",
    "Approvals",
    "CostAssumption",
    "Cycle",
    "Fees",
    "MonthlyTotals",
    "Returns",
    "ShopFile",
    "Zone",
    "parse_shop_file",
    "read_shop_file",
    "render_shop_file",
    "shop_settings",
]

SHOP_FILE = "shop.toml"
"""Name of the settings file inside a data folder."""

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


_CALLED = ("woocommerce_rest", "webhook")
"""Ways out that call an address."""

_PRIOR_PRICE_LAW = (
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS",
    "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
)  # fmt: skip
"""Countries of Directive 98/6/EC: the European Union, and Iceland, Liechtenstein and Norway."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A price zone: where one product has one price and one tax."""

    id: Annotated[str, Says("Name of the zone, as in the zone column of the tables.")]
    country: Annotated[str, Says("Country, two letters of ISO 3166.")]
    tax_rate: Annotated[
        float, Says("Sales or value-added tax as a share of the net price: 0.21 is 21 percent.")
    ]
    prices_include_tax: Annotated[bool, Says("Whether the shelf shows prices with tax.")]

    def __post_init__(self) -> None:
        within(f"zones ({self.id}): tax_rate", self.tax_rate, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class CostAssumption:
    """Unit costs where none are recorded; everything that rests on them says so."""

    default: Annotated[
        float, Says("Unit cost as a share of the net regular price (0.7 leaves a margin of 30 %).")
    ]
    by: Annotated[str, Says("Column of products that `shares` refers to.")] = "category"
    shares: Annotated[
        Mapping[str, float], Says("Share by value of that column, where it is not the default.")
    ] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        for name, share in (("default", self.default), *self.shares.items()):
            within(f"cost_assumption: {name}", share, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Fees:
    """What a sale costs besides the goods: payment, commission, shipping that the shop bears."""

    share: Annotated[float, Says("Fees as a share of the gross price: 0.014 is 1.4 percent.")] = 0.0
    per_unit: Annotated[int, Says("Fees for each unit.", money=True)] = 0

    def __post_init__(self) -> None:
        within("fees.share", self.share, 0.0, 1.0)
        within("fees.per_unit", self.per_unit, 0, 2**53)


@dataclass(frozen=True, slots=True)
class Returns:
    """Goods that come back, where the returns table does not tell."""

    expected_share: Annotated[float, Says("Share of units expected back without a returns table.")] = 0.0
    by_category: Annotated[Mapping[str, float], Says("The same by category, where it is not that.")] = field(
        default_factory=dict[str, float]
    )
    window_days: Annotated[int, Says("Days after a sale within which goods may come back.")] = 30

    def __post_init__(self) -> None:
        for name, share in (("expected_share", self.expected_share), *self.by_category.items()):
            within(f"returns: {name}", share, 0.0, 0.99)
        within("returns.window_days", self.window_days, 0, 3650)


@dataclass(frozen=True, slots=True)
class Approvals:
    """What needs a person before it is published."""

    automatic_change: Annotated[
        float,
        Says(
            "Largest relative move that needs nobody's approval, if the model passed its checks, the "
            "product's own prices tell the effect, and data, not limits, drive the run; 0: every move needs "
            "a person."
        ),
    ] = 0.0
    automatic_loss_risk: Annotated[float, Says("Largest probability of losing money by such a move.")] = 0.05
    four_eyes: Annotated[bool, Says("A move that needs a person needs two.")] = False


@dataclass(frozen=True, slots=True)
class Cycle:
    """How `tarifa cycle` goes round, period after period."""

    policy: Annotated[str, Says("The policy that recommends.")] = "resolve"
    accept_failed: Annotated[
        tuple[str, ...], Says("Checks of the model's passport whose failure is accepted, each by its name.")
    ] = ()
    quick_validation: Annotated[
        bool, Says("Validate with fewer refits, products and worlds; the passport says so.")
    ] = False
    refit_after: Annotated[
        int, Says("Periods after which the model is fitted anew instead of updated with the newest ones.")
    ] = 13
    publisher: Annotated[
        Literal["", "shopify_csv", "woocommerce_csv", "woocommerce_rest", "webhook", "workbook"],
        Says(
            "Where approved prices go: into the platform's own product export, over WooCommerce's REST API, "
            "as signed messages, or into a workbook for whoever types them."
        ),
    ] = ""
    address: Annotated[
        str,
        Says("Address of the shop (woocommerce_rest) or of the receiver (webhook), with https://."),
    ] = ""
    key_file: Annotated[
        str,
        Says(
            "File with what opens that address, relative to the home; only its owner may read it. Empty: it "
            "is in the environment. Never write a key or secret here."
        ),
    ] = ""
    workbook_language: Annotated[Literal["en", "es"], Says("Language of the workbook.")] = "en"

    def __post_init__(self) -> None:
        self._check_address()
        if not self.policy or self.refit_after < 1:
            raise SettingsError(
                "cycle.policy is empty, or cycle.refit_after is less than 1.", todo="Correct shop.toml."
            )

    def _check_address(self) -> None:
        called = self.publisher in _CALLED
        if called and not self.address:
            raise SettingsError(
                f"cycle.publisher is {self.publisher}, and cycle.address is not said.",
                todo='Set it in shop.toml, like address = "https://shop.example".',
            )
        if not called and (self.address or self.key_file):
            raise SettingsError(
                "cycle.address and cycle.key_file are said, and cycle.publisher calls nobody.",
                why="Nobody would know which of them was meant.",
                todo=f"Leave them out, or set cycle.publisher to one of {', '.join(_CALLED)}.",
            )
        if "@" in self.address:
            raise SettingsError(
                "cycle.address holds a user name or password.",
                why="Whoever reads shop.toml would have it.",
                todo="Leave it out of the address, and name a key_file.",
            )


@dataclass(frozen=True, slots=True)
class MonthlyTotals:
    """What the shop's own books say of one month, to reconcile with."""

    month: Annotated[str, Says("Month of the shop's local calendar, like 2025-03.")]
    gross: Annotated[
        int | None, Says("Shelf price times quantity of all paid lines, tax included.", money=True)
    ] = None
    discounts: Annotated[int | None, Says("Taken off below the shelf price, tax included.", money=True)] = (
        None
    )
    returns: Annotated[int | None, Says("Paid back, tax included.", money=True)] = None
    tax: Annotated[int | None, Says("Tax inside gross - discounts - returns.", money=True)] = None
    net: Annotated[int | None, Says("gross - discounts - returns - tax.", money=True)] = None

    def __post_init__(self) -> None:
        if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", self.month, re.ASCII) is None:
            raise SettingsError(f"totals: {self.month!r} is not a month.", todo="Write it like 2025-03.")


@dataclass(frozen=True, slots=True)
class ShopFile:
    """All settings of one shop; every field is documented in ``docs/shop-file.md``."""

    contract: Annotated[int, Says("Version of the data contract that the tables follow.")]
    currency: Annotated[str, Says("Currency of all amounts, ISO 4217.")]
    time_zone: Annotated[str, Says("Time zone of the shop (IANA name); naive times are read in it.")]
    zones: Annotated[tuple[Zone, ...], Says("Price zones; the first is meant where a table names none.")]
    exponent: Annotated[
        int | None, Says("Decimals of the currency's minor unit; follows from the currency.")
    ] = None
    week_start: Annotated[Weekday, Says("First day of a week.")] = "monday"
    grain: Annotated[Literal["week", "day"], Says("Length of a period.")] = "week"
    date_format: Annotated[
        str, Says("How dates in text look, like %d/%m/%Y; empty: recognised, or asked.")
    ] = ""
    decimal_separator: Annotated[
        Literal["auto", ".", ","], Says("Decimal mark of numbers in text; auto: recognised, or asked.")
    ] = "auto"
    price_endings: Annotated[
        tuple[str, ...],
        Says('Last digits of sellable prices, like [".49", ".99"] or ["5", "9"]; empty: every price.'),
    ] = ()
    quarantine_share: Annotated[float, Says("Largest share of bad rows in a table before a run stops.")] = (
        0.02
    )
    promotion_calendar_set_in_advance: Annotated[
        bool,
        Says(
            "Your declaration that promotions are planned before demand is known. Only with it does a "
            "promotions table identify the effect of price, and only with it do planned promotions and "
            "reductions enter the coming periods."
        ),
    ] = False
    demand_shocks_are_local: Annotated[
        bool,
        Says(
            "Your declaration that unforeseen demand in one zone says nothing of it in another. Only with it "
            "do regular prices of the same product in other zones serve as an instrument."
        ),
    ] = False
    business_price_lists: Annotated[
        tuple[str, ...], Says("Price lists of business customers, set apart.")
    ] = ()
    own_seller_ids: Annotated[tuple[str, ...], Says("Values of seller_id that mean the shop itself.")] = ()
    reconciliation_tolerance: Annotated[
        float, Says("Relative difference from typed-in totals that is fine.")
    ] = 0.005
    cost_assumption: Annotated[CostAssumption | None, Says("Unit costs where the costs table has none.")] = (
        None
    )
    fees: Annotated[Fees, Says("Fees of a sale.")] = Fees()
    returns: Annotated[Returns, Says("Goods that come back.")] = Returns()
    guardrails: Annotated[GuardrailSection, Says("The corridor of recommendations.")] = GUARDRAILS
    coupons: Annotated[CouponSection, Says("The corridor of personal coupons.")] = COUPONS
    approvals: Annotated[Approvals, Says("What needs a person before it is published.")] = Approvals()
    cycle: Annotated[Cycle, Says("How `tarifa cycle` goes round, period after period.")] = Cycle()
    woocommerce: Annotated[WooCommerce, Says("What only the shop knows of its WooCommerce.")] = WOOCOMMERCE
    attributes: Annotated[Mapping[str, tuple[str, ...]], Says("Further columns by table, read as text.")] = (
        field(default_factory=dict[str, tuple[str, ...]])
    )
    columns: Annotated[
        Mapping[str, Mapping[str, str]], Says("Your own column names by table and column.")
    ] = field(default_factory=dict[str, Mapping[str, str]])
    constants: Annotated[
        Mapping[str, Mapping[str, str]], Says("Values of columns that a table does not have.")
    ] = field(default_factory=dict[str, Mapping[str, str]])
    totals: Annotated[
        tuple[MonthlyTotals, ...], Says("Monthly totals of your books, to reconcile with.")
    ] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.contract <= CONTRACT_VERSION:
            raise SettingsError(
                f"contract = {self.contract}; this Tarifa reads versions up to {CONTRACT_VERSION}.",
                todo="Update Tarifa.",
            )
        money = self.money
        if self.exponent is not None and self.exponent != money.exponent:
            raise SettingsError(f"exponent = {self.exponent}; ISO 4217 says {money.exponent}.")
        if self.time_zone not in zoneinfo.available_timezones() - {"localtime"}:
            raise SettingsError(
                f"time_zone = {self.time_zone!r} is not a known time zone.",
                todo="Write it like Europe/Madrid.",
            )
        within("quarantine_share", self.quarantine_share, 0.0, 1.0)
        within("reconciliation_tolerance", self.reconciliation_tolerance, 0.0, 1.0)
        self._check_zones()
        check_date_format(self.date_format)
        check_attributes(self.attributes)
        for section, by_table in (("columns", self.columns), ("constants", self.constants)):
            check_columns(section, by_table, self.attributes)
        months = [entry.month for entry in self.totals]
        twice = sorted({month for month in months if months.count(month) > 1})
        if twice:
            raise SettingsError(f"totals: {twice[0]} is there twice.", todo="Keep one of them.")
        _ = self.endings, self.reviewed

    @property
    def money(self) -> Currency:
        """The currency with its exponent."""
        return Currency.of(self.currency)

    @property
    def period_days(self) -> int:
        """Days of a period: 7 or 1."""
        return 7 if self.grain == "week" else 1

    @property
    def week_begins(self) -> int:
        """First day of a week as Python counts them: 0 is Monday."""
        weekdays: tuple[Weekday, ...] = get_args(Weekday)
        return weekdays.index(self.week_start)

    @property
    def endings(self) -> Endings:
        """Sellable endings as remainders in minor units."""
        digits = [text.replace(".", "") for text in self.price_endings]
        if any(not (part.isascii() and part.isdigit()) for part in digits) or len(set(map(len, digits))) > 1:
            raise SettingsError(
                f"price_endings = {list(self.price_endings)} are not last digits of equal number.",
                todo='Write them like [".49", ".99"].',
            )
        if not digits:
            return Endings()
        return Endings(tuple(sorted({int(part) for part in digits})), int(10 ** len(digits[0])))

    @property
    def corridor(self) -> GuardrailSettings:
        """The guardrail settings of the kernel."""
        g = self.guardrails
        return GuardrailSettings(
            margin_floor=g.margin_floor,
            max_change=g.max_change,
            cool_down=g.cool_down_periods,
            max_share_moved=g.max_share_moved,
            endings=self.endings,
            kill_switch=g.kill_switch,
            act_on_prior=g.act_on_prior,
            prior_price=any(zone.country in _PRIOR_PRICE_LAW for zone in self.zones)
            if g.prior_price is None
            else g.prior_price,
        )

    @property
    def reviewed(self) -> ApprovalSettings:
        """What needs a person, as the kernel says it."""
        a = self.approvals
        return ApprovalSettings(a.automatic_change, a.automatic_loss_risk, a.four_eyes)

    def _check_zones(self) -> None:
        names = [zone.id for zone in self.zones]
        if not names:
            raise SettingsError(
                "shop.toml names no zone.",
                why="Without a tax rate nobody knows what a price leaves.",
                todo="Add [[zones]] with id, country, tax_rate and prices_include_tax.",
            )
        blank = [name for name in names if not name or name != name.strip()]
        if blank:
            raise SettingsError(
                f"zones: {blank[0]!r} is empty or has blanks around it.",
                why="Cells are read without the blanks around them, so no row could ever name this zone.",
                todo="Write it without blanks.",
            )
        if len(set(names)) != len(names):
            raise SettingsError(f"zones: {', '.join(names)} are not distinct.")
        if self.demand_shocks_are_local and len(names) < 2:
            raise SettingsError(
                f"demand_shocks_are_local is declared, and {names[0]} is the only zone.",
                why="It speaks of prices in other zones.",
                todo="Leave it out, or add the other [[zones]].",
            )


def parse_shop_file(text: str) -> ShopFile:
    """Read the text of a shop file.

    Raises
    ------
    SettingsError
        If it is not TOML, names an unknown setting, lacks one, or says something impossible.
    """
    try:
        values = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"shop.toml is not valid TOML: {error}.", todo="Correct it there.") from error
    try:
        currency = Currency.of(str(values.get("currency", "")))
    except DataError as error:
        raise SettingsError(f"currency: {error.what}", todo=error.todo) from error
    return parse(ShopFile, values, currency)


def read_shop_file(path: Path) -> ShopFile:
    """Read a shop file from disk; errors are those of :func:`parse_shop_file`, naming the file."""
    try:
        return parse_shop_file(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SettingsError(
            f"There is no {path}.",
            why="A shop must say its currency, time zone and tax once.",
            todo="Import the data, or write the file by hand: docs/shop-file.md shows how.",
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}.", todo="Make it a file that you may read."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text.", todo="Save it as UTF-8.") from error
    except SettingsError as error:
        raise SettingsError(f"{path}: {error.what}", why=error.why, todo=error.todo) from error


def render_shop_file(shop: ShopFile, preface: str = "") -> str:
    """Write a shop file with every setting explained; :func:`parse_shop_file` reads it back as it was.

    Parameters
    ----------
    shop
        The settings.
    preface
        What a reader should know first; becomes comment lines at the top.
    """
    lines = ["Settings of this shop. docs/shop-file.md explains them.", *preface.splitlines()]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n" + render(shop, shop.money)


def shop_settings() -> tuple[Setting, ...]:
    """Return every setting of ``shop.toml``."""
    return settings_of(ShopFile, Currency.of("EUR"))
