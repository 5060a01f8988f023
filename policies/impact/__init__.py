"""Did it pay? Trials drawn, their effect estimated from the draw, and its checks; see docs/impact.md."""
