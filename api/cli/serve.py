"""``tarifa serve``."""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from api.cli.coupons.shelf import open_coupons
from api.cli.session import AcceptFailed, AsJson, Debug, HeldBy, Language, Outcome, Session, carry_out, named
from api.standing_texts import standing_shown
from pricing.errors import FingerprintError, UsageError

if TYPE_CHECKING:
    from api.customer_key import CustomerKey
    from api.prices.service import Desk
    from api.storage.store import Store
    from policies.serve.coupon_shelf import CouponShelf
    from policies.serve.past import Past
    from policies.serve.shelf import Shelf
    from pricing.policy import Policy
    from pricing.standing import Standing

__all__ = ["customer_key_of", "desk_of", "desk_over", "require_data", "serve_folder", "serve_run"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_YOUNG = 50_000
"""New objects after which the interpreter looks for garbage."""


def serve_run(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    policy: Annotated[
        str,
        typer.Option(help="What decides: names or folders as for `tarifa recommend`, the first by default."),
    ] = "resolve",
    store: Annotated[
        str | None,
        typer.Option(help="Decision store, a file or a database URL; default: RUN.decisions.sqlite3."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Data folder the run must have been fitted on; default: the one beside the run."),
    ] = None,
    accept_failed: AcceptFailed = "",
    plan: HeldBy = None,
    customer_key: Annotated[
        Path | None,
        typer.Option(help="Key of customers' pseudonyms; default: the one that import left beside the data."),
    ] = None,
    coupons: Annotated[
        Path | None, typer.Option(help="File of `tarifa coupons shelf`: offers are decided by it.")
    ] = None,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Serve recommendations over HTTP, each recorded durably before it is answered.

    A run whose passport failed is refused until each failed check is accepted by its name; every
    recommendation then says so.

    From the first `tarifa keys add` on every request needs a key; before, only this computer is answered.

    Example: tarifa serve run --policy resolve --port 8000
    """

    def work(session: Session) -> Outcome:
        desk = desk_of(session, run, policy, store, data, accepted=named(accept_failed), plan=plan)
        shelf = None if coupons is None else open_coupons(coupons)
        return serve_folder(session, desk, host, port, customer_key_of(run, customer_key), shelf)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def desk_of(
    session: Session,
    run: Path,
    policy: str,
    store: str | None,
    data: Path | None,
    *,
    accepted: tuple[str, ...] = (),
    plan: Path | None = None,
) -> Desk:
    """Open everything that is served; fails before anything listens."""
    from api.runs import open_shelf, read_past
    from api.storage.sqlite import url_of
    from api.storage.store import Store

    with session.progress("serve") as told:
        told("verifying the run", 0.1)
        shelf = open_shelf(run, accepted, plan)
        past = read_past(run, shelf.catalogue)
        require_data(run, shelf.model.fingerprint, data)
        told("making policies", 0.5)
        chosen = _chosen(shelf, policy)
        told("opening the store", 0.9)
        place = store or str(run.resolve().with_name(f"{run.resolve().name}.decisions.sqlite3"))
        opened = Store(url_of(place), lambda: dt.datetime.now(dt.UTC))
    return _desk(shelf, chosen, opened, past)


def desk_over(shelf: Shelf, policy: str, store: Store, past: Past | None = None) -> Desk:
    """Open the policies that are named, separated by commas, over a shelf; the first decides by default."""
    return _desk(shelf, _chosen(shelf, policy), store, past)


def _chosen(shelf: Shelf, policy: str) -> list[tuple[Policy, Standing | None]]:
    """Return the policies that are named, each with the standing of the model that it was trained on."""
    from api.policies import open_policy, trained_under

    names = [name.strip() for name in policy.split(",") if name.strip()]
    if not names:
        raise UsageError("--policy names none.", todo="Give for example resolve.")
    chosen = [open_policy(name, shelf) for name in names]
    _require_distinct([made.name for made in chosen])
    return [(made, trained_under(name)) for made, name in zip(chosen, names, strict=True)]


def _desk(
    shelf: Shelf, chosen: list[tuple[Policy, Standing | None]], store: Store, past: Past | None
) -> Desk:
    from api.past_prices import with_record
    from api.prices.service import Desk

    trained = {made.name: under for made, under in chosen if under is not None}
    policies = {made.name: made for made, _ in chosen}
    return Desk(with_record(shelf, store.database), policies, chosen[0][0].name, store, trained, past)


def _require_distinct(names: list[str]) -> None:
    """Refuse policies that a request could not tell apart."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"--policy gives {', '.join(twice)} more than once.",
            why="A request names its policy; two of one name could not be told apart.",
            todo="Serve one of them, or the other from a second service.",
        )


def require_data(run: Path, fingerprint: str, data: Path | None) -> None:
    """Refuse a run that was fitted on other data than those given, or than those found beside it.

    Raises
    ------
    FingerprintError
        If the data folder's fingerprint is another one.
    """
    from api.runs import data_name

    folder = data or run.resolve().parent / data_name(run)
    if data is None and not folder.is_dir():
        return
    from api.jobs import ProcessPool, fingerprint_of

    with ProcessPool(1) as pool:
        found = next(iter(pool.submit(fingerprint_of, [str(folder)])))
    if found != fingerprint:
        raise FingerprintError(
            f"{run} was fitted on other data than {folder} holds.",
            why=f"Fingerprints {fingerprint[:12]} and {found[:12]} differ.",
            todo="Fit again on these data, or give the folder it was fitted on with --data.",
        )


def customer_key_of(run: Path, file: Path | None) -> CustomerKey:
    """Return the key that customers are known by: a file, or the one beside the run's data if it is there.

    Raises
    ------
    UsageError
        If it cannot be read.
    """
    from api.customer_key import CustomerKey
    from api.runs import data_name

    beside = run.resolve().parent / f"{data_name(run)}.key"
    if file is None and not beside.is_file():
        return CustomerKey()
    return CustomerKey.of(file or beside)


def serve_folder(
    session: Session,
    desk: Desk,
    host: str,
    port: int,
    key: CustomerKey | None = None,
    coupons: CouponShelf | None = None,
) -> Outcome:
    """Listen until a signal ends it."""
    import uvicorn

    from api.app import create_app
    from api.customer_key import CustomerKey
    from api.redemptions.signatures import InboundSecrets

    if host not in _LOOPBACK:
        _require_keys(desk)
    _log_to_stderr()

    def decided() -> Desk:
        desk.decide_all()
        gc.collect()
        gc.freeze()  # what is served lives as long as the process: no collection need look at it again
        gc.set_threshold(_YOUNG)  # a bulk preview makes ten thousand rows, and lets them go at once
        return desk

    secrets = InboundSecrets.of(os.environ)
    app = create_app(decided, _LOOPBACK if host in _LOOPBACK else (), key or CustomerKey(), secrets, coupons)
    with contextlib.closing(desk.store), _listen(host, port) as listening:
        address, listened = listening.getsockname()[:2]
        where = f"http://[{address}]:{listened}" if ":" in address else f"http://{address}:{listened}"
        _tell(session, desk, where)
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on")
        signal.signal(signal.SIGTERM, _ended)
        uvicorn.Server(config).run(sockets=[listening])
    return Outcome({"served": where})


def _ended(_number: int, _frame: FrameType | None) -> None:
    """Let the store be closed: uvicorn ends on a signal by itself, and raises it once more afterwards."""


def _require_keys(desk: Desk) -> None:
    """Refuse to be reached from elsewhere while nobody needs a key."""
    from api.storage.keys import any_key

    with desk.store.database.reading() as connection:
        if not any_key(connection):
            raise UsageError(
                "--host: without access keys this service answers this computer only.",
                why="Whoever reached it could approve prices.",
                todo="Make a key with `tarifa keys add NAME --role manager --store STORE`, then serve again.",
            )


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that will listen there; raises :class:`UsageError` where none can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by every connection: else the kernel holds a short answer back until the caller
        # acknowledges its headers, some 40 ms. asyncio sets it only on sockets whose protocol is named, and
        # this one's is not.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind(address)
        listening.listen()
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"Nothing can listen on {host}:{port}.", why=f"{error}.", todo="Give another --port or --host."
        ) from error
    return listening


def _tell(session: Session, desk: Desk, where: str) -> None:
    """Say where the service is, and how to try it."""
    for line in standing_shown(desk.shelf.standing, session.texts, desk.trained):
        session.err.print(line, highlight=False)
    session.err.print(f"Serving {desk.default} on {where} (Ctrl-C ends it). The desk: {where}/desk")
    session.err.print(f"To try the API: {where}/docs, or")
    body = json.dumps({"price_groups": list(desk.shelf.catalogue.series.group[:1])})
    example = f"curl -s {where}/v1/recommendations -H 'content-type: application/json' -d '{body}'"
    session.err.print(example, markup=False, highlight=False, soft_wrap=True)


def _log_to_stderr() -> None:
    """One JSON object a line on standard error, nothing but the allow-listed fields and the time."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
