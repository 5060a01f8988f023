"""Segments of customers in words: what a cluster does, and what a group is."""

from __future__ import annotations

from api.texts import Texts
from simulators.customers.segments import Clusters, Group

__all__ = ["clusters_told", "group_told"]


def clusters_told(clusters: Clusters, words: Texts) -> tuple[str, ...]:
    """Return a line for each cluster, like "64%: buys weekly, mostly on discount"."""
    shares = clusters.count / clusters.count.sum()
    return tuple(
        f"{words.percent(float(share))}: {', '.join(words.text('trait', trait.value) for trait in traits)}"
        for share, traits in zip(shares, clusters.traits, strict=True)
    )


def group_told(group: Group, words: Texts) -> str:
    """Return what a group is."""
    return words.text("segment", group.value)
