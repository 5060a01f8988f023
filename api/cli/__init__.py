"""The command line: one small module a command."""

from simulators.one_thread import compute_on_one_thread

compute_on_one_thread()
