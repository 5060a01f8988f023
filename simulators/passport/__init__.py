"""The passport of a demand model: how far it may be trusted with prices, check by check."""
