"""Benchmarks: each a command of its own, ``python -m bench.NAME``."""

from simulators.one_thread import compute_on_one_thread

compute_on_one_thread()
