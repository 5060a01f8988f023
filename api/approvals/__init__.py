"""Approvals: rounds of proposals, and what people do with them."""
