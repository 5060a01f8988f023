"""Recommended prices over HTTP: decided by the kernel, recorded before they are answered."""
