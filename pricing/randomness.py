"""Counter-based randomness: a decision's draw follows from (seed, run, decision id) and from nothing else.

Philox4x32-10 of Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011),
vectorised over counters, so that a million decisions in one batch draw what each would draw alone.
NumPy's own Philox keeps one counter a generator, which would cost 10 microseconds a decision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from pricing.arrays import Floats, Ints, Words

__all__ = ["decision_keys", "label_hash", "label_hashes", "normals", "philox", "uniforms"]

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_NORMALS = 0x6E6F726D
"""Second key word of normals ("norm"), so that they share no stream with decisions."""


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Encrypt counters.

    Parameters
    ----------
    counter
        uint64 [..., 4]; four 32-bit words.
    key
        Two 32-bit words.

    Returns
    -------
    Words
        uint64 [..., 4]; four random 32-bit words a counter.
    """
    c0, c1, c2, c3 = (counter[..., i].astype(np.uint64, order="C") for i in range(4))
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0 = c0 * _MULTIPLIERS[0]
        p1 = c2 * _MULTIPLIERS[1]
        c0 = (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0)
        c2 = (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & _MASK, p0 & _MASK
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1)


def label_hash(*parts: str) -> int:
    """Return a 64-bit hash of text that is the same on every machine and in every process."""
    body = "\x1f".join(parts).encode()
    return int.from_bytes(hashlib.blake2b(body, digest_size=8).digest(), "big")


def label_hashes(kind: str, labels: Iterable[str]) -> Words:
    """Return ``label_hash(kind, label)`` of every label, uint64 [N], a little faster."""
    before, blake = f"{kind}\x1f".encode(), hashlib.blake2b
    digests = b"".join([blake(before + label.encode(), digest_size=8).digest() for label in labels])
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def decision_keys(series: Words, period: Ints, stream: Ints) -> Words:
    """Lay out decision identifiers as Philox counters.

    Parameters
    ----------
    series
        uint64 [N]; :func:`label_hash` of group and zone.
    period
        int64 [...]; first day of the period as days since 1970-01-01, broadcast against `stream`.
    stream
        int64 [B]; 32-bit number of the run, or of the environment in a batch.

    Returns
    -------
    Words
        uint64 [B, N, 4].
    """
    shape = (*np.broadcast_shapes(np.shape(period), np.shape(stream)), len(series))
    keys = np.empty((*shape, 4), dtype=np.uint64)
    keys[..., 0] = series >> _SHIFT
    keys[..., 1] = series & _MASK
    keys[..., 2] = np.broadcast_to(np.asarray(period)[..., None], shape).astype(np.uint64) & _MASK
    keys[..., 3] = np.broadcast_to(np.asarray(stream)[..., None], shape).astype(np.uint64) & _MASK
    return keys


def uniforms(keys: Words, seed: int) -> Floats:
    """Return one float64 in [0, 1) for each decision key: keys [..., 4] give [...]; 53 random bits each."""
    words = philox(keys, (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF))
    bits = ((words[..., 0] << _SHIFT) | words[..., 1]) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def normals(series: Words, draws: Ints, width: int, seed: int) -> Floats:
    """Return standard normals float64 [D, N, width], each following from (seed, series, draw, place).

    Box and Muller (1958): two words give a radius, two an angle; cosine and sine are two places.

    Parameters
    ----------
    series
        uint64 [N]; :func:`label_hash` of group and zone.
    draws
        int64 [D]; numbers of the draws.
    width
        Normals for each series and draw.
    seed
        Any integer; its low 32 bits count, apart from the key of :func:`uniforms`.
    """
    pairs = (width + 1) // 2
    keys = np.empty((len(draws), len(series), pairs, 4), dtype=np.uint64)
    keys[..., 0] = (series >> _SHIFT)[:, None]
    keys[..., 1] = (series & _MASK)[:, None]
    keys[..., 2] = np.asarray(draws).astype(np.uint64)[:, None, None]
    keys[..., 3] = np.arange(pairs, dtype=np.uint64)
    words = philox(keys, (seed & 0xFFFFFFFF, _NORMALS)).astype(np.float64)
    first = (words[..., 0] * 2.0**32 + words[..., 1] + 1.0) * 2.0**-64
    radius = np.sqrt(-2.0 * np.log(first))
    angle = (words[..., 2] * 2.0**32 + words[..., 3]) * (2.0 * np.pi * 2.0**-64)
    both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return both.reshape(len(draws), len(series), 2 * pairs)[..., :width]
