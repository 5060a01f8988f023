"""Coupons at checkout: which one, if any, and its money kept before the answer leaves."""
