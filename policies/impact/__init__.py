"""Did it pay? Trials drawn, their effect estimated by what chance assigned, and its checks; see docs/impact.md."""
