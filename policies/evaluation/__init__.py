"""Policies judged on a log that another policy wrote, before they go live."""
