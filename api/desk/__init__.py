"""The desk: pages on which a person reviews recommended prices, on the same services as the API."""
