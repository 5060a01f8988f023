from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.archive import content_digest, digest, pack, unpack
from pricing.catalogue import Catalogue
from pricing.errors import ArtifactError, DataError, UnknownProduct
from pricing.model import COEFFICIENTS, DemandModel
from pricing.panel import Series
from tests.pricing.small_shop import catalogue

_ARRAYS = {"b": np.arange(6.0).reshape(2, 3), "a": np.array([True, False])}
_GOOD = pack("thing", 2, _ARRAYS, {"word": "ñ", "n": 3})


def model(count: int = 4) -> DemandModel:
    c = len(COEFFICIENTS)
    rng = np.random.default_rng(1)
    names = Series(tuple(f"p{i}" for i in range(count)), ("z",) * count, *(("",) * count for _ in range(3)))
    lower = np.tril(rng.normal(size=(count, c, c)) * 0.1)
    return DemandModel(
        series=names,
        mean=rng.normal(size=(count, c)),
        factor=lower,
        dispersion=np.full(count, 5.0),
        absence=np.zeros(count),
        reference_price=np.full(count, 100.0),
        support_low=np.full(count, 80),
        support_high=np.full(count, 120),
        depth_low=np.full(count, -0.3),
        identified_by=np.full((count, 2), 2, dtype=np.int8),
        category=np.zeros(count, dtype=np.int64),
        rival_group=np.full(count, -1, dtype=np.int64),
        rival_weight=np.ones(count),
        rival_outside_weight=np.zeros(count),
        category_shock_sd=np.array([0.1]),
        period_shock_sd=0.1,
        category_names=("dairy", "bread"),
        prior_mean=np.zeros((3, c)),
        prior_covariance=np.tile(np.eye(c), (3, 1, 1)),
        prior_log_size=1.0,
        prior_log_size_sd=0.5,
        prior_absence=0.0,
        period_days=7,
        until="2017-01-01",
        fingerprint="data",
        seed=3,
    )


def _same(first: object, second: object) -> None:
    for field in fields(first):  # type: ignore[arg-type] # both are dataclasses
        ours, theirs = getattr(first, field.name), getattr(second, field.name)
        if isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs)
        else:
            assert ours == theirs, field.name


def test_arrays_and_facts_come_back_and_the_bytes_follow_from_them() -> None:
    arrays, meta = unpack("thing", 2, _GOOD)
    assert meta == {"word": "ñ", "n": 3}
    assert {name: a.tolist() for name, a in arrays.items()} == {
        name: a.tolist() for name, a in _ARRAYS.items()
    }
    assert pack("thing", 2, dict(reversed(_ARRAYS.items())), {"n": 3, "word": "ñ"}) == _GOOD
    assert digest(_GOOD) == digest(bytes(_GOOD))


def test_an_older_version_is_read_and_a_newer_one_refused() -> None:
    assert unpack("thing", 3, _GOOD)[1]["n"] == 3
    with pytest.raises(ArtifactError, match="schema 2; this Tarifa reads up to 1"):
        unpack("thing", 1, _GOOD)


def test_another_kind_is_refused() -> None:
    with pytest.raises(ArtifactError, match="Expected a catalogue archive and found a thing"):
        Catalogue.from_bytes(_GOOD)


def test_object_arrays_are_neither_written_nor_read() -> None:
    pickled = np.array([{"code": 1}], dtype=object)
    with pytest.raises(ValueError, match="Object arrays"):
        pack("thing", 1, {"bad": pickled}, {})
    body, out = io.BytesIO(), io.BytesIO()
    np.save(body, pickled, allow_pickle=True)
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"kind": "thing", "version": 1, "meta": {}}))
        archive.writestr("bad.npy", body.getvalue())
    with pytest.raises(ArtifactError, match="Object arrays"):
        unpack("thing", 1, out.getvalue())


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(_GOOD) - 1))
def test_a_truncated_archive_is_refused(length: int) -> None:
    with pytest.raises(ArtifactError, match="not a readable"):
        unpack("thing", 2, _GOOD[:length])


@settings(max_examples=500, deadline=None)
@given(st.integers(0, len(_GOOD) - 1), st.integers(1, 255))
def test_a_damaged_byte_is_refused_or_harmless(place: int, flip: int) -> None:
    damaged = bytearray(_GOOD)
    damaged[place] ^= flip
    try:
        arrays, _ = unpack("thing", 2, bytes(damaged))
    except ArtifactError:
        return
    assert all(np.array_equal(arrays[name], _ARRAYS[name]) for name in arrays.keys() & _ARRAYS.keys())


@pytest.mark.parametrize(
    "head",
    [
        "[]",
        "3",
        "null",
        '{"kind": "thing"}',
        '{"kind": "thing", "version": null, "meta": {}}',
        "{",
        '"thing"',
    ],
)
def test_a_manifest_that_says_nothing_is_refused(head: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("manifest.json", head)
    with pytest.raises(ArtifactError, match="not a readable"):
        unpack("thing", 1, out.getvalue())


@pytest.mark.parametrize("content", [b"", b"PK", b"not an archive", b"\x00" * 100])
def test_foreign_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError, match="not a readable"):
        DemandModel.from_bytes(content)


@pytest.mark.parametrize("noun", [catalogue((100, 200)), model()], ids=["catalogue", "model"])
def test_nouns_come_back_byte_for_byte(noun: Catalogue | DemandModel) -> None:
    again = type(noun).from_bytes(noun.to_bytes())
    _same(noun, again)
    assert again.to_bytes() == noun.to_bytes()


@pytest.mark.parametrize(
    ("kind", "read"), [("catalogue", Catalogue.from_bytes), ("demand-model", DemandModel.from_bytes)]
)
@pytest.mark.parametrize("meta", [{}, {"series": 3}, {"series": {"group": ["a"]}}, {"series": {}, "more": 1}])
def test_an_archive_without_its_fields_is_refused(
    kind: str, read: Callable[[bytes], object], meta: dict[str, object]
) -> None:
    with pytest.raises(ArtifactError, match=f"does not hold what a {kind} is made of"):
        read(pack(kind, 1, {}, meta))


def test_draws_of_a_series_are_the_same_in_every_selection() -> None:
    whole = model(9)
    some = np.array([7, 2, 5])
    every = whole.draws(40)
    assert (whole.take(some).draws(40) == every[:, some]).all()
    assert (whole.draws(3, first=21) == every[21:24]).all()
    assert (whole.take(some[:1]).draws(1, first=39) == every[39:, some[:1]]).all()


def test_draws_have_the_posterior_mean_and_covariance() -> None:
    whole = model(2)
    draws = whole.draws(40_000)
    covariance = whole.factor[1] @ whole.factor[1].T
    sd = np.sqrt(np.diag(covariance))
    assert (np.abs(draws[:, 1].mean(axis=0) - whole.mean[1]) < 5 * sd / 200).all()
    assert np.allclose(np.cov(draws[:, 1].T), covariance, atol=5e-3)


def test_rows_find_series_in_any_order_and_name_the_one_that_is_missing() -> None:
    whole = model(4)
    wanted = whole.series.take(np.array([3, 1]))
    assert whole.rows(wanted).tolist() == [3, 1]
    with pytest.raises(UnknownProduct, match="milk in z"):
        whole.rows(replace(wanted, group=("milk", "p1")))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unit_cost", -1),
        ("fee_unit", -1),
        ("net_share", 0.0),
        ("net_share", np.nan),
        ("gross_share", np.inf),
        ("fee_share", np.nan),
        ("fee_share", 1.0),
        ("return_rate", 1.0),
        ("return_rate", np.nan),
        ("stock", np.nan),
        ("stock", -1.0),
        ("recent", 0),
    ],
)
def test_a_catalogue_refuses_what_no_rule_can_compare(field: str, value: float) -> None:
    plain = {"recent": 100, "net_share": 1.0, "gross_share": 1.0}.get(field, 0)
    facts = {field: [[plain], [value]] if field == "recent" else [plain, value]}
    with pytest.raises(DataError, match=f"p1 has {field}"):
        catalogue((100, 100), **facts)


def test_a_catalogue_refuses_a_price_of_nothing() -> None:
    with pytest.raises(DataError, match="p1 has price = 0"):
        catalogue((100, 0))


def test_a_catalogue_of_unequal_lengths_is_refused() -> None:
    shop = catalogue((100, 100))
    with pytest.raises(DataError, match="unit_cost has 1 rows for 2"):
        replace(shop, unit_cost=shop.unit_cost[:1])


def test_net_profit_of_a_unit_by_hand() -> None:
    shop = catalogue((121,), net_share=1 / 1.21, fee_share=0.1, fee_unit=5, return_rate=0.25, unit_cost=50)
    # net 100, fees 12.1 + 5, cost 50: 32.9 on three of four
    assert shop.unit_profit(np.array([121.0]))[0] == pytest.approx(24.675, rel=1e-12)


def test_a_content_digest_is_of_kind_names_types_shapes_and_values() -> None:
    plain: tuple[Any, ...] = ("thing", 2, _ARRAYS, {"n": 3})
    same = dict(reversed(_ARRAYS.items())) | {"b": np.asfortranarray(_ARRAYS["b"])}
    assert content_digest("thing", 2, same, {"n": 3}) == content_digest(*plain)
    b = _ARRAYS["b"]
    other: list[tuple[Any, ...]] = [
        ("other", 2, _ARRAYS, {"n": 3}),
        ("thing", 3, _ARRAYS, {"n": 3}),
        ("thing", 2, _ARRAYS, {"n": 4}),
        *(("thing", 2, _ARRAYS | {"b": changed}, {"n": 3}) for changed in (b + 1, b.T, b.ravel(), b > 0.0)),
        ("thing", 2, {"a": _ARRAYS["a"], "c": b}, {"n": 3}),
        ("thing", 2, {"a": _ARRAYS["a"]}, {"n": 3}),
    ]
    assert len({content_digest(*one) for one in (plain, *other)}) == 1 + len(other)
