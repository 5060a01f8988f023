"""``tarifa coupons``: personal coupons, from scores to allocations."""

from __future__ import annotations

import typer

from api.cli.coupons import allocate, simulate

__all__ = ["coupons"]

coupons = typer.Typer(
    help="Personal coupons: who is offered what, under budgets.", no_args_is_help=True, rich_markup_mode=None
)

coupons.command("allocate")(allocate.allocate_coupons)
coupons.command("simulate")(simulate.simulate_coupons)
