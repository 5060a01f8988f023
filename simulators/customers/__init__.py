"""The individual side of demand: who redeems a coupon, who visits, what goes into a basket."""
