"""What the verbs of the store in PostgreSQL take, beside plain statements of psycopg on the same server.

    python -m tests.bench.store [--times 500]

Absolute times depend on the machine, on its disk above all; the ratio to the floor, taken in turns in the same run,
is what counts. The last line is from the call of the verb until the watch of another store published the change.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op
from kuma_core.testing.stores import key
from kuma_store_postgres.database import Database
from kuma_store_postgres.store import PostgresStore
from plugins.store_postgres.tests.server import any_server, config_of, with_template

RECORDS = 1000
DOCUMENT = '{"networking":{"inbound":[{"interface":"10.0.0.1:80:80","tags":{"service":"orders"}}]}}'
GET = "SELECT spec, version FROM resources WHERE name = %s AND mesh = 'default' AND type = 'Thing'"
LIST = "SELECT name, spec, version FROM resources WHERE type = 'Thing' ORDER BY mesh, name"
UPDATE = "UPDATE resources SET spec = %s WHERE name = %s AND mesh = 'default' AND type = 'Thing'"
NOTIFY = f"WITH written AS ({UPDATE} RETURNING name) SELECT pg_notify('bench', name) FROM written"
TOLD, QUIET = key("told"), key("quiet", type="Quiet")


@dataclass
class Pair:
    """A verb and its floor; each call gets a number."""

    name: str
    ours: Callable[[int], object]
    floor: Callable[[int], object]


def milliseconds(work: Callable[[int], object], number: int) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work(number)
    return 1000 * (time.perf_counter() - began)


def measured(pair: Pair, times: int) -> str:
    """A line of the table; both take turns, so that what disturbs one disturbs the other."""
    for number in range(20):
        pair.ours(number)
        pair.floor(number)
    both = [(milliseconds(pair.ours, n), milliseconds(pair.floor, n)) for n in range(times)]
    ours, floor = (statistics.median(found) for found in zip(*both, strict=True))
    worst = sorted(mine for mine, _ in both)[int(0.99 * times)]
    return f"{pair.name:<30}{ours:>9.2f}{worst:>9.2f}{floor:>9.2f}   ratio {ours / floor:.2f}"


class Listener:
    """Waits for one change at a time, by the watch of a store."""

    def __init__(self, store: PostgresStore, stack: ExitStack) -> None:
        self._store, self._stop = store, Stop()
        self._heard = threading.Event()
        thread = threading.Thread(target=store.watch, args=(self._take, self._stop), daemon=True)
        thread.start()
        stack.callback(thread.join, 10)
        stack.callback(self._stop.set)
        assert self._heard.wait(10)  # the RESYNC: attached

    def _take(self, change: Change) -> None:
        if change.op is Op.RESYNC or change.key == TOLD:
            self._heard.set()

    def after(self, write: Callable[[], object]) -> None:
        """Write, and wait until it is told."""
        self._heard.clear()
        write()
        assert self._heard.wait(10)


def pairs(where: Database, stack: ExitStack) -> list[Pair]:
    """Everything that is measured, over a database with so many records."""
    store, other = (PostgresStore(where) for _ in range(2))
    plain, listening = (stack.enter_context(where.connect()) for _ in range(2))
    for item in (store, other):
        stack.callback(item.close)
    store.leave_untold(["Quiet"])
    for number in range(RECORDS):
        store.create(key(f"a{number}"), DOCUMENT)
    versions = {item: store.create(item, DOCUMENT).version for item in (TOLD, QUIET)}

    def update(item: ResourceKey) -> None:
        versions[item] = store.update(item, DOCUMENT, versions[item]).version

    def notified(number: int) -> None:
        plain.execute(NOTIFY, (DOCUMENT, "a1"))
        next(listening.notifies(timeout=10, stop_after=1))

    listening.execute("LISTEN bench")
    listener = Listener(other, stack)
    return [
        Pair(
            "get",
            lambda number: store.get(key(f"a{number % RECORDS}")),
            lambda number: plain.execute(GET, (f"a{number % RECORDS}",)).fetchall(),
        ),
        Pair(f"list of {RECORDS}", lambda _: store.list("Thing"), lambda _: plain.execute(LIST).fetchall()),
        Pair(
            "update, of a hushed kind",
            lambda _: update(QUIET),
            lambda _: plain.execute(UPDATE, (DOCUMENT, "a0")),
        ),
        Pair("update", lambda _: update(TOLD), lambda _: plain.execute(UPDATE, (DOCUMENT, "a0"))),
        Pair("update, until another is told", lambda _: listener.after(lambda: update(TOLD)), notified),
    ]


def main(times: int) -> None:
    """Measure, and print the table."""
    with any_server() as running, with_template(running) as server, server.database(server.template) as name:
        where = Database.of(config_of(server.environ(name)))
        print(f"{'ms: ' + str(times) + ' times each':<30}{'median':>9}{'99 %':>9}{'floor':>9}")
        with ExitStack() as stack:
            for pair in pairs(where, stack):
                print(measured(pair, times), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=500)
    main(parser.parse_args().times)
