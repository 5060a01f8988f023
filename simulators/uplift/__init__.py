"""What coupons add: exposures, doubly robust scores, effects and how sure they are."""
