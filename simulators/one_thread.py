"""Linear algebra on one thread: the same bytes whatever the number of cores, and no thread waits for another.

A library that splits a product over threads adds up in another order on another machine, so a fit there
is not the same fit. And it waits by spinning: beside other work two threads took twelve times as long as one
(an uplift fit of 15,000 exposures, 33 s against 2.7 s). What is large is split over processes instead.
"""

from __future__ import annotations

import os

__all__ = ["compute_on_one_thread"]

_SETTINGS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def compute_on_one_thread() -> None:
    """Say so to this process and those it starts, unless somebody has said otherwise.

    Libraries read this once, as they are loaded: call it before NumPy is imported.
    """
    for name in _SETTINGS:
        os.environ.setdefault(name, "1")
