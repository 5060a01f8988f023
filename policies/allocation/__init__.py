"""Which offer for whom: one of K coupons or none under budgets and caps, offline and as customers arrive."""
