"""The kernel: nouns and pure, array-first functions that every other room calls.

Nothing here reads a file, a clock or global random state. Money is integer minor units until
:mod:`pricing.features` turns it into a float, once. Arrays are named by their axes in this order:
``B`` worlds or environments in a batch, ``N`` series (a price group in a zone), ``K`` ladder prices,
``T`` periods, ``D`` posterior draws, ``C`` coefficients.
"""
