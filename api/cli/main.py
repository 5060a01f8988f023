"""The command ``tarifa``."""

from __future__ import annotations

import io
import sys

import typer

from api.cli import (
    check,
    coupons,
    customers,
    cycle,
    elasticities,
    fit,
    impact,
    import_command,
    keys,
    predict,
    recommend,
    serve,
    simulate,
    train,
    update,
    validate,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="tarifa",
    help="From a shop's own order history to guarded prices; see docs/cli.md.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for _name, _command in (
    ("import", import_command.import_data),
    ("check", check.check_data),
    ("fit", fit.fit_data),
    ("update", update.update_run_folder),
    ("validate", validate.validate_run),
    ("elasticities", elasticities.write_elasticities),
    ("predict", predict.predict_scenario),
    ("simulate", simulate.simulate_policies),
    ("train", train.train_policy),
    ("recommend", recommend.recommend_prices),
    ("serve", serve.serve_run),
    ("cycle", cycle.go_round),
    ("keys", keys.manage_keys),
):
    app.command(_name)(_command)
app.add_typer(impact.impact, name="impact")
app.add_typer(coupons.coupons, name="coupons")
app.add_typer(customers.customers, name="customers")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no letter of a path may end a command
    app()


if __name__ == "__main__":
    main()
