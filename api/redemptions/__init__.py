"""Redemptions: places kept for coupons, used on orders, taken back; codes, and what platforms tell."""
