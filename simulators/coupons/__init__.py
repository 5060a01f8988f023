"""A simulated shop floor for coupons: customers who come and answer, now and later."""
