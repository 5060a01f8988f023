"""Health apart from readiness: a live process may still have nothing to serve."""
