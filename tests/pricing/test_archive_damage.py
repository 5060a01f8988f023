"""Archives that somebody else wrote, or that were damaged on the way: refused by name, never half read."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pricing.archive import digest, pack, unpack
from pricing.catalogue import Catalogue
from pricing.errors import ArtifactError, DataError
from pricing.model import COEFFICIENTS, DemandModel
from tests.pricing.small_shop import catalogue
from tests.pricing.test_archive import model

C = len(COEFFICIENTS)
_HEAD = '{"kind": "thing", "version": 1, "meta": {}}'


def _zip(head: str, **members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("manifest.json", head)
        for name, body in members.items():
            archive.writestr(f"{name}.npy", body)
    return out.getvalue()


def _npy(header: str, body: bytes = bytes(16)) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


@pytest.mark.parametrize(
    "head",
    [
        "",
        "[]",
        "null",
        '"thing"',
        "{",
        "[" * 100_000,
        '{"kind": "thing", "version": 1}',
        '{"kind": "thing", "version": null, "meta": {}}',
        '{"kind": "thing", "version": Infinity, "meta": {}}',
        '{"kind": "thing", "version": NaN, "meta": {}}',
        '{"kind": "thing", "version": "one", "meta": {}}',
        '{"kind": "thing", "version": 1, "meta": [1]}',
        '{"kind": "other", "version": 1, "meta": {}}',
        '{"kind": "thing", "version": 2, "meta": {}}',
        '{"kind": "thing", "version": 1e300, "meta": {}}',
    ],
)
def test_a_manifest_that_says_nothing_useful(head: str) -> None:
    assert unpack("thing", 1, _zip(_HEAD)) == ({}, {})
    with pytest.raises(ArtifactError, match="thing archive"):
        unpack("thing", 1, _zip(head))


@pytest.mark.parametrize(
    "array",
    [
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04",
        _npy("x"),
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,"),  # the header stops
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}"),  # longer than its bytes
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10 ** 30,)}"),
        _npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**15},)}}"),  # more than any memory
        _npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**30},)}}"),  # more than an index
        _npy("{'descr': ('<f8',), 'fortran_order': False, 'shape': (2,)}"),
        _npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"),  # a pickle
        _npy("{'descr': [('a', '<f8', (9999999999,))], 'fortran_order': False, 'shape': (2,)}"),
        _npy("__import__('os')"),
    ],
)
def test_an_array_that_is_none(array: bytes) -> None:
    with pytest.raises(ArtifactError, match="not a readable Tarifa thing archive"):
        unpack("thing", 1, _zip(_HEAD, a=array))


def test_every_flipped_byte_is_noticed_or_says_nothing() -> None:
    """Each byte of a small archive, with all its bits turned: a refusal, an array gone, or the same content.

    A length in the directory of a zip file can swallow its last member; whoever reads a noun misses it then.
    """
    content = pack("thing", 1, {"a": np.arange(3)}, {"b": "c"})
    noticed = 0
    for place in range(len(content)):
        broken = bytearray(content)
        broken[place] ^= 0xFF
        try:
            arrays, meta = unpack("thing", 1, bytes(broken))
        except ArtifactError:
            noticed += 1
            continue
        assert [array.tolist() for array in arrays.values()] in ([], [[0, 1, 2]]), place
        assert meta == {"b": "c"}
    assert noticed > 0.5 * len(content)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_noise_is_no_archive(noise: bytes, at: int) -> None:
    content = pack("thing", 1, {"a": np.arange(9.0)}, {})
    for broken in (noise, content[:at], noise + b"PK\x05\x06" + bytes(18), content[at:]):
        if broken == content:
            continue
        try:
            arrays, _ = unpack("thing", 1, broken)
        except ArtifactError:
            continue
        assert all(np.array_equal(array, np.arange(9.0)) for array in arrays.values())


_ARRAYS = st.sampled_from(["<i8", "<f8", "<u4", "|b1", "|i1"]).flatmap(
    lambda kind: st.lists(st.integers(0, 3), max_size=3).map(
        lambda shape: np.arange(np.prod(shape, dtype=int)).astype(kind).reshape(shape)
    )
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), _ARRAYS),
    st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.booleans(), st.text(max_size=5))),
)
def test_what_is_packed_comes_back_and_the_order_of_names_does_not_count(
    arrays: dict[str, NDArray[Any]], meta: dict[str, object]
) -> None:
    content = pack("thing", 3, arrays, meta)
    back, told = unpack("thing", 9, content)
    assert told == meta
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
        assert back[name].shape == array.shape
    turned = {name: arrays[name] for name in reversed(arrays)}
    assert pack("thing", 3, turned, dict(reversed(meta.items()))) == content
    assert digest(content) == digest(bytes(bytearray(content)))


def _catalogue_with(**parts: Any) -> bytes:
    arrays, meta = unpack("catalogue", 1, catalogue((100, 200)).to_bytes())
    for name, value in parts.items():
        if name in meta:
            meta[name] = value
        elif value is None:
            del arrays[name]
        else:
            arrays[name] = value
    return pack("catalogue", 1, arrays, meta)


@pytest.mark.parametrize(
    "parts",
    [
        {"price": None},
        {"price": np.int64(100)},
        {"recent": np.array([100, 200])},
        {"net_share": np.ones((2, 3))},
        {"shoe_size": np.ones(2)},
        {"series": "p0"},
        {"series": {"group": ["a", "b"]}},
        {"series": {"group": 1, "zone": 2, "category": 3, "subcategory": 4, "brand": 5}},
    ],
)
def test_a_catalogue_of_other_parts_is_refused(parts: dict[str, Any]) -> None:
    assert Catalogue.from_bytes(_catalogue_with()).to_bytes() == catalogue((100, 200)).to_bytes()
    with pytest.raises(ArtifactError, match="catalogue"):
        Catalogue.from_bytes(_catalogue_with(**parts))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("price", [100, 0]),
        ("price", [100, 2**62]),
        ("unit_cost", [0, -1]),
        ("fee_unit", [-5, 0]),
        ("net_share", [1.0, np.nan]),
        ("net_share", [1.0, np.inf]),
        ("gross_share", [0.0, 1.0]),
        ("fee_share", [1.0, 0.0]),
        ("fee_share", [0.0, -0.01]),
        ("return_rate", [0.0, 1.0]),
        ("return_rate", [np.nan, 0.0]),
        ("stock", [-0.5, np.inf]),
        ("stock", [np.nan, 0.0]),
        ("recent", [[100] * 5, [200, 0, 200, 200, 200]]),
        ("price", [100, 200, 300]),
    ],
)
def test_a_number_that_no_rule_could_compare_names_its_product(name: str, values: list[Any]) -> None:
    kind = unpack("catalogue", 1, catalogue((100, 200)).to_bytes())[0][name].dtype
    with pytest.raises(DataError, match=name):
        Catalogue.from_bytes(_catalogue_with(**{name: np.array(values, dtype=kind)}))


def test_fees_may_not_eat_the_whole_price() -> None:
    """At 50 % fees on gross, a net price of half the gross one leaves nothing: k = 0 divides the markup."""
    assert catalogue((100,), net_share=0.5, fee_share=0.499).unit_profit(np.array([1e6]))[0] > 0
    with pytest.raises(DataError, match="fee_share"):
        catalogue((100,), net_share=0.5, fee_share=0.5)


def test_a_zero_cost_and_a_limit_of_every_kind_are_fine() -> None:
    shop = catalogue((1,), unit_cost=0, stock=0.0, support_low=0, support_high=0, max_price=0, map_price=7)
    assert Catalogue.from_bytes(shop.to_bytes()).to_bytes() == shop.to_bytes()


def test_a_demand_model_lacks_nothing_and_has_nothing_more() -> None:
    arrays, meta = unpack("demand-model", 3, model(3).to_bytes())
    assert DemandModel.from_bytes(pack("demand-model", 3, arrays, meta)).to_bytes() == model(3).to_bytes()
    for name in arrays:
        less = {key: array for key, array in arrays.items() if key != name}
        with pytest.raises(ArtifactError, match=name):
            DemandModel.from_bytes(pack("demand-model", 3, less, meta))
    for name in meta:
        with pytest.raises(ArtifactError, match="demand-model"):
            DemandModel.from_bytes(
                pack("demand-model", 3, arrays, {k: v for k, v in meta.items() if k != name})
            )
    with pytest.raises(ArtifactError, match="colour"):
        DemandModel.from_bytes(pack("demand-model", 3, arrays, {**meta, "colour": "red"}))
    assert json.loads(json.dumps(meta)) == meta


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.integers(0, 40),
    st.integers(1, 4),
    st.integers(0, 2**31),
)
def test_a_draw_is_the_same_bits_in_any_company(some: list[int], first: int, count: int, seed: int) -> None:
    """Other draws, other series, another order: einsum or BLAS may not change a last bit."""
    rng = np.random.default_rng(seed)
    whole = model(6)
    factor = np.tril(rng.normal(size=whole.factor.shape))
    whole = DemandModel(
        **{n: getattr(whole, n) for n in DemandModel.__dataclass_fields__} | {"factor": factor}
    )
    every = whole.draws(44)
    found = whole.take(np.array(some)).draws(count, first=first)
    assert found.tobytes() == np.ascontiguousarray(every[first : first + count][:, some]).tobytes()


def test_draws_have_the_mean_and_the_covariance_of_the_posterior() -> None:
    rng = np.random.default_rng(4)
    whole = model(1)
    factor = np.tril(rng.normal(size=(1, C, C)))
    whole = DemandModel(
        **{n: getattr(whole, n) for n in DemandModel.__dataclass_fields__} | {"factor": factor}
    )
    drawn = whole.draws(40_000)[:, 0]
    sd = np.sqrt(np.diag(factor[0] @ factor[0].T))
    assert np.abs((drawn.mean(axis=0) - whole.mean[0]) / sd).max() < 4.5 / np.sqrt(40_000)
    np.testing.assert_allclose(np.cov(drawn.T), factor[0] @ factor[0].T, atol=0.05 * sd.max() ** 2)
