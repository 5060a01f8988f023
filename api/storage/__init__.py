"""What is kept on disk, durably: decisions, reviews, prices, keys."""
