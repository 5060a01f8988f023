"""Importers: a shop's own export in, a data folder of the contract out, read by allow-list."""
