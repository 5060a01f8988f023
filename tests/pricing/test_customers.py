from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.archive import pack, unpack
from pricing.customers import CUSTOMER_FEATURES, REPORTED, Customers, place_of, unknown, visible
from pricing.errors import ArtifactError, RefusedError, UsageError
from pricing.protected import PROTECTED, protected_as, refuse_protected
from pricing.schema import table

F = len(CUSTOMER_FEATURES)
YES_NO = np.array([True, False])


def two() -> Customers:
    values = visible(np.arange(2.0 * F).reshape(2, F), YES_NO)
    return Customers(("a", "b"), values, YES_NO, 20_000, "data")


def test_each_feature_says_what_it_is_for_and_on_what_ground() -> None:
    names = [feature.name for feature in CUSTOMER_FEATURES]
    assert len(set(names)) == F
    for feature in CUSTOMER_FEATURES:
        assert feature.meaning
        assert feature.unit
        assert feature.purpose
        assert "art. 6(1)" in feature.legal_basis
        assert 0 < feature.retention <= 730
        assert feature.personal
        assert all(table(source) for source in feature.sources)
        assert protected_as(feature.name) is None


def test_who_has_not_agreed_is_the_unknown_visitor() -> None:
    shop = two()
    assert shop.values[0].tolist() == list(range(F))
    assert shop.values[1].tolist() == unknown().tolist()
    assert shop.find(["b", "never seen", "a"]).tolist() == [unknown().tolist()] * 2 + [list(range(F))]
    assert shop.column("tenure").tolist() == [1.0, 0.0]
    assert (place_of("tenure"), len(shop), shop.take(np.array([1])).customer) == (1, 2, ("b",))


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_blanking_depends_on_nothing_but_consent(agreed: list[bool]) -> None:
    yes = np.array(agreed)
    one, other = np.random.default_rng(1).normal(size=(2, len(yes), F))
    assert visible(one, yes)[~yes].tobytes() == visible(other, yes)[~yes].tobytes()
    assert visible(one, yes)[yes].tobytes() == one[yes].tobytes()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"values": np.ones((2, F))}, "values of their own"),
        ({"values": np.ones((2, 3))}, "need values"),
        ({"values": np.full((2, F), np.nan)}, "finite"),
        ({"consented": np.array([1.0, np.nan])}, "yes or no, not float64"),
        ({"customer": ("b", "a")}, "ascending"),
        ({"customer": ("a", "a")}, "none twice"),
    ],
)
def test_what_describes_somebody_wrongly_is_refused(changed: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        replace(two(), **changed)  # type: ignore[arg-type]  # one wrong field at a time


def test_unregistered_features_have_no_place() -> None:
    with pytest.raises(UsageError, match="shoe_size is no registered feature"):
        two().column("shoe_size")
    with pytest.raises(RefusedError, match="age may not be a feature of a customer"):
        two().column("age")


def test_bytes_come_back_the_same_and_foreign_ones_do_not() -> None:
    content = two().to_bytes()
    back = Customers.from_bytes(content)
    assert back.to_bytes() == content
    assert (back.customer, back.as_of, back.fingerprint) == (("a", "b"), 20_000, "data")
    arrays, meta = unpack("customers", 1, content)
    with pytest.raises(ArtifactError, match="other features"):
        Customers.from_bytes(pack("customers", 1, arrays, {**meta, "features": ["age"]}))
    leaked = {**arrays, "values": np.ones((2, F))}
    doubtful = {**leaked, "consented": np.array([1.0, np.nan])}
    for wrong in (leaked, doubtful):
        with pytest.raises(ArtifactError, match="not hold"):
            Customers.from_bytes(pack("customers", 1, wrong, meta))


@pytest.mark.parametrize(
    ("name", "ground"),
    [
        ("age", "age"), ("Customer-Age", "age"), ("ageGroup", "age"), ("date_of_birth", "age"),
        ("fechaNacimiento", "age"), ("Edad", "age"), ("gender", "sex or gender"), ("GÉNERO", "sex or gender"),
        ("sexo", "sex or gender"), ("marital_status", "pregnancy and family"),
        ("household_comp", "pregnancy and family"), ("kids_count", "pregnancy and family"),
        ("ethnicity", "ethnic origin"), ("country_of_birth", "age"), ("nacionalidad", "nationality"),
        ("preferredLanguage", "language"), ("religion", "religion or belief"),
        ("political_views", "political opinion"), ("sindicato", "membership of a trade union"),
        ("health_status", "health"), ("discapacidad", "disability"),
        ("sexual_orientation", "sexual orientation"), ("biometricTemplate", "genetic or biometric data"),
        ("income", "socio-economic situation"), ("home_ownership", "socio-economic situation"),
        ("postcode", "where somebody lives, a near proxy of origin"),
        ("código postal", "where somebody lives, a near proxy of origin"),
        ("first_name", "a name, a near proxy of sex and origin"), ("criminal_record", "a criminal record"),
    ],
)  # fmt: skip
def test_protected_attributes_and_proxies_are_known_by_name(name: str, ground: str) -> None:
    assert protected_as(name) == ground
    with pytest.raises(RefusedError, match="fairness report alone") as refused:
        refuse_protected(name)
    assert refused.value.what == f"{name} may not be a feature of a customer: it tells {ground}."


@pytest.mark.parametrize(
    "name", ["loyalty_tier", "average_basket", "page_views", "stage", "trace", "storage", "sextant"]
)
def test_other_words_that_hold_the_same_letters_are_not(name: str) -> None:
    assert protected_as(name) is None
    refuse_protected(name)


def test_every_ground_is_found_by_each_of_its_words() -> None:
    for entry in PROTECTED:
        assert all(protected_as(word) is not None for word in (*entry.words, *entry.stems)), entry


def test_the_page_says_what_the_register_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "coupons.md").read_text(encoding="utf-8")
    section = page.split("## What is known of a customer\n", 1)[1].split("\n## ", 1)[0]
    rows = [
        f"| `{f.name}` | {f.meaning} | {f.unit} | {f.unknown:.4g} | {f.retention} | {', '.join(f.sources)} "
        f"| {f.legal_basis} |"
        for f in CUSTOMER_FEATURES
    ]
    assert [line for line in section.splitlines() if line.startswith("| `")] == rows
    grounds = [line.removeprefix("- ") for line in section.splitlines() if line.startswith("- ")]
    assert grounds == [entry.ground for entry in PROTECTED]
    assert {feature.purpose for feature in (*CUSTOMER_FEATURES, *REPORTED)} == {"personal_offers"}


def test_the_page_of_customers_says_what_else_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "customers.md").read_text(encoding="utf-8")
    rows = [
        f"| `{one.name}` | {one.meaning} | {one.retention} | {', '.join(one.sources)} | {one.legal_basis} |"
        for one in REPORTED
    ]
    assert [line for line in page.splitlines() if line.startswith("| `") and "consent" in line] == rows
    assert not {one.name for one in REPORTED} & {one.name for one in CUSTOMER_FEATURES}
