"""The data contract: reading, checking and reconciling a shop's tables; the panel and the catalogue."""
