"""What people call a price group: the words that the names of its products begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulators.contract.tables import Source

__all__ = ["group_names"]


def group_names(source: Source) -> Mapping[str, str]:
    """Return the name of every price group that has one.

    A group of one product has its name. Of several products it is what their names begin with, word by word
    ("Linen shirt" of "Linen shirt, M" and "Linen shirt, L"), else the name of the first.
    """
    rows = source.engine.rows(
        "SELECT coalesce(price_group, product_id), list(trim(name) ORDER BY product_id) FROM products "
        "WHERE name IS NOT NULL AND trim(name) <> '' GROUP BY 1"
    )
    return {str(group): _joint([str(name) for name in names]) for group, names in rows}


def _joint(names: Sequence[str]) -> str:
    words = [name.split() for name in names]
    shared: list[str] = []
    for column in zip(*words, strict=False):
        if len({word.strip(",;:/-") for word in column}) > 1:
            break
        shared.append(column[0])
    return " ".join(shared).strip(" ,;:/-") or names[0]
