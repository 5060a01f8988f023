"""Servers of a ledger, forked from one program that has imported everything: quick to start, easy to kill.

Each line on standard input is a store, a moment at which to die, and how often that moment passes first; the
answer is a line with the port and the process. The moments are the one thing that is not as in earnest.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import sys
import time
from typing import Any

import structlog
import uvicorn
from sqlalchemy import bindparam, update

from api.redemptions import service
from api.storage import commit_queue, ledger_reserve
from api.storage.ledger import campaign, coupon_limits
from api.storage.ledger_reserve import Limit, Refusal
from api.storage.statements import Statement
from api.storage.store import Store
from api.storage.tables import CAMPAIGNS, COUPON_LIMITS
from tests.api.ledger_app import ledger_app

MOMENTS = ("before effect", "after effect", "before commit", "after commit")


def dying(owner: Any, name: str, *, after: bool, count: int) -> None:
    """Die at the `count`-th call of a function, before or after its work."""
    real, left = getattr(owner, name), [count]

    def patched(*given: Any, **named: Any) -> Any:
        left[0] -= 1
        if not left[0] and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = real(*given, **named)
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, patched)


def careless() -> None:
    """Take the guards away: limits are read first and checked here, and what is written has no condition."""
    money, table = CAMPAIGNS.c, COUPON_LIMITS.c
    taken = update(COUPON_LIMITS).where(table.coupon_id == bindparam("coupon"))
    taken = taken.values(taken=table.taken + bindparam("count"))
    kept = update(CAMPAIGNS).where(money.campaign_id == bindparam("campaign"))
    unguarded: Any = ledger_reserve
    unguarded._TAKE = Statement(taken.returning(table.campaign_id, table.limit_per_customer))
    unguarded._KEEP = Statement(kept.values(held=money.held + bindparam("money")))
    real = service.Redemptions.reserve

    def checked(self: service.Redemptions, asked: service.Asked, key: str) -> Any:
        with self.store.database.reading() as connection:
            limits = coupon_limits(connection, asked.coupon_id)
            assert limits is not None
            found = campaign(connection, limits.campaign_id)
        assert found is not None
        assert found.budget is not None
        if found.held + found.spent + asked.liability > found.budget:
            raise Refusal(asked.coupon_id, Limit.BUDGET).error()
        time.sleep(0.02)
        return real(self, asked, key)

    service.Redemptions.reserve = checked  # type: ignore[method-assign]


def serve(store: str, moment: str, count: int, listening: socket.socket) -> None:
    if moment == "careless":
        careless()
    elif moment.endswith("effect"):
        dying(service, "redeem", after=moment.startswith("after"), count=count)
    elif moment.endswith("commit"):
        queue: Any = commit_queue
        before, after = (queue.CommitQueue, "_carry_out"), (queue._Done, "tell")
        owner, name = after if moment.startswith("after") else before
        dying(owner, name, after=moment.startswith("before"), count=count)
    app = ledger_app(Store(f"sqlite:///{store}", lambda: dt.datetime.now(dt.UTC)))
    config = uvicorn.Config(app, log_level="critical", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


def main() -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=True)
    for line in sys.stdin:
        store, moment, count = line.rstrip("\n").split("\t")
        listening = socket.socket()
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        child = os.fork()
        if not child:
            serve(store, moment, int(count), listening)
            os._exit(0)
        sys.stdout.write(f"{listening.getsockname()[1]} {child}\n")
        sys.stdout.flush()
        listening.close()


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    main()
