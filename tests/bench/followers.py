"""Many clients of events that read and throw away, until the program is ended.

python -m tests.bench.followers PORT COUNT
"""

from __future__ import annotations

import asyncio
import resource
import sys


async def follow(port: int, count: int) -> None:
    """Follow from so many connections."""

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while await reader.read(65536):
            pass

    await asyncio.gather(*(one() for _ in range(count)))


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(follow(int(sys.argv[1]), int(sys.argv[2])))
