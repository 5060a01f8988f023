"""The history of prices: what was on the tag, and what a reduction is counted from."""
