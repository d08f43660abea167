"""Clients of events that come, hear their first words, and leave, so many times a second, until the program is ended.

python -m tests.bench.reconnecting PORT RATE FILE

The file has how many were served so far. No more than a tenth of a second's worth are at work at once: who is turned
away or waits does not pile up here.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

REQUEST = b"GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: elsewhere-7\r\n\r\n"
STEP_SECONDS = 0.01
PATIENCE_SECONDS = 5.0


async def once(port: int) -> bool:
    """Come and leave; whether there were words."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(REQUEST)
                found = await reader.readuntil(b"event: ")
                return b" 200 " in found
            except asyncio.IncompleteReadError:
                return False
            finally:
                writer.close()
    return False


async def come_and_go(port: int, rate: int, file: Path) -> None:
    """Come ``rate`` times a second."""
    served, at_work = 0, set[asyncio.Task[bool]]()
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    while True:
        due = int((loop.time() - began) * rate) - sent
        sent += due
        for _ in range(min(due, rate // 10 - len(at_work))):
            at_work.add(asyncio.create_task(once(port)))
        await asyncio.sleep(STEP_SECONDS)
        done = {task for task in at_work if task.done()}
        at_work -= done
        served += sum(task.result() for task in done)
        file.write_text(str(served))


if __name__ == "__main__":
    asyncio.run(come_and_go(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
