"""Decides random shops twice, by the kernel and by brute force, and says where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pricing.decision import Decision, Decisions, decide
from pricing.guardrails import Rule
from tests.pricing import brute_force, random_shops
from tests.pricing.brute_force import Verdict


def labels(bits: int) -> frozenset[str]:
    return frozenset(rule.label for rule in Rule if bits >> rule.value & 1)


def differences(seed: int) -> Iterator[tuple[Decision, str]]:
    """Yield every decision of the random shop `seed` with what is wrong with it ("" where nothing is)."""
    situation, guardrails, policy = random_shops.shop(seed)
    batch = situation.state.price.shape[0]
    made = decide(situation, guardrails, policy, seed=seed, runs=np.arange(batch), fingerprint="f")
    corridor = random_shops.corridor(guardrails.settings)
    profit = np.broadcast_to(situation.expected_profit(situation.beliefs), made.probabilities.shape)
    for run in range(batch):
        items = random_shops.items(situation, run, guardrails.held)
        scores = [dict(zip(item.ladder, policy.scores[run, i], strict=False)) for i, item in enumerate(items)]
        worth = [dict(zip(item.ladder, profit[run, i], strict=False)) for i, item in enumerate(items)]
        gains = [{p: w[p] - w[item.price] for p in w} for w, item in zip(worth, items, strict=True)]
        verdicts, shadow = brute_force.decide(items, corridor, scores, gains)
        for series, verdict in enumerate(verdicts):
            record = made.record(run, series)
            wrong = _wrong(record, verdict) or _hard_rule_broken(record)
            yield record, wrong or _shadow_wrong(made, run, shadow)


def _wrong(record: Decision, verdict: Verdict) -> str:
    found: tuple[tuple[str, object, object], ...] = (
        ("rejections", [labels(bits) for bits in record.rejections], [*verdict.broken.values()]),
        ("allowed", {p for p, a in zip(record.menu, record.allowed, strict=True) if a}, verdict.allowed),
        ("status", record.status.label, verdict.status),
        ("relaxed", labels(record.relaxed), verdict.relaxed),
        ("price", record.price, verdict.price),
        ("binding", record.binding.label if record.binding is not None else None, verdict.binding),
    )
    return "; ".join(
        f"{name}: kernel {ours}, brute force {theirs}" for name, ours, theirs in found if ours != theirs
    )


def _hard_rule_broken(record: Decision) -> str:
    if record.price is None:
        return ""
    bits = record.rejections[record.menu.index(record.price)]
    return f"hard rule broken: {labels(bits)}" if brute_force.hard(labels(bits)) else ""


def _shadow_wrong(made: Decisions, run: int, shadow: float) -> str:
    ours = float(made.admission.shadow_price[run])
    return (
        "" if math.isclose(ours, shadow, rel_tol=1e-9, abs_tol=1e-9) else f"shadow price {ours} and {shadow}"
    )
