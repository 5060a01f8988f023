"""A simulated shop floor for coupons: customers who come, answer now and answer later, fitted on a shop's own data."""
