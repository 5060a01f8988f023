"""``tarifa coupons``: personal coupons, from what they add to who is offered what."""

from __future__ import annotations

import typer

from api.cli.coupons import allocate, evaluate, fairness, farming, fit, log, shelf, simulate

__all__ = ["coupons"]

coupons = typer.Typer(
    help="Personal coupons: who is offered what, under budgets.", no_args_is_help=True, rich_markup_mode=None
)

coupons.command("fit")(fit.fit_coupons)
coupons.command("log")(log.log_coupons)
coupons.command("evaluate")(evaluate.evaluate_coupons)
coupons.command("shelf")(shelf.make_shelf)
coupons.command("score")(shelf.score_offers)
coupons.command("allocate")(allocate.allocate_coupons)
coupons.command("simulate")(simulate.simulate_coupons)
coupons.command("fairness")(fairness.report_fairness)
coupons.command("farming")(farming.report_farming)
