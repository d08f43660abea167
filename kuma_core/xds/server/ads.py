"""The Aggregated Discovery Service on grpc.aio: one reader and one writer for each stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any, Generic, Protocol

import grpc

from kuma_core.xds.keepalive import KEEPALIVE
from kuma_core.xds.proxy import Node
from kuma_core.xds.server import bounds
from kuma_core.xds.server.bounds import Descriptions
from kuma_core.xds.server.codes import FAILURES, Failure, code_of
from kuma_core.xds.server.delta import DeltaStream
from kuma_core.xds.server.doors import Doors, Recognise, Visitor, everybody
from kuma_core.xds.server.guard import Guard, Stopping
from kuma_core.xds.server.hub import Hub, Key, Session
from kuma_core.xds.server.sotw import SotwStream
from kuma_core.xds.server.stream import LEFT, Acknowledgement, ProtocolError, Recorder, Stream

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"

MAX_WAITING = 4_096
"""How many streams of a port may wait to be accepted. The library's own 1 000 would turn proxies away at random when
all of them come back at once, with two streams each on 5677. Each costs some 11 kB."""

MOST_STREAMS = 100
"""Of one connection. An Envoy has one on 5678, and a few on 5677; a balancer in between opens another connection.
RFC 9113 (6.5.2) recommends no fewer."""

SERVER_OPTIONS = [
    *KEEPALIVE.items(),
    *bounds.SERVER_OPTIONS,
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", MOST_STREAMS),
    ("grpc.server.max_pending_requests", MAX_WAITING),
    ("grpc.server.max_pending_requests_hard_limit", MAX_WAITING),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
]


class StreamRecorder(Recorder, Protocol):
    """A recorder of one stream that also learns when its owner becomes known, and when it ends."""

    def known(self) -> None:
        """The stream got its first snapshot."""
        ...

    def close(self, reason: str = "") -> None:
        """The stream ended; without a reason because the control plane stops."""
        ...


class AdsService(Generic[Key]):
    """Serves both variants.

    ``identify`` turns a node into a key and raises ``ValueError``; ``record`` makes a recorder for a stream
    whose owner and address are known. ``recognise`` decides about credentials, and ``guard`` ends streams later, once
    their proof is good no longer. ``belongs`` tells the dataplane of a key, of which there may be several descriptions.
    ``returned`` is called before a stream opens whose client was configured by somebody already.
    """

    def __init__(
        self,
        hub: Hub[Key],
        identify: Callable[[Node], Key],
        record: Callable[[Key, str], StreamRecorder],
        recognise: Recognise[Key] = everybody,
        guard: Guard | None = None,
        belongs: Callable[[Key], Hashable] = lambda key: key,
        returned: Callable[[], None] = lambda: None,
    ) -> None:
        self._hub = hub
        self._returned = returned
        self._identify = identify
        self._record = record
        self._guard = Guard() if guard is None else guard
        self._doors = Doors("xds-server", self._guard, recognise, belongs)
        self._descriptions = Descriptions()

    def handler(self) -> grpc.GenericRpcHandler:
        """What a grpc server is given."""
        methods = {
            "StreamAggregatedResources": self._method(SotwStream),
            "DeltaAggregatedResources": self._method(DeltaStream),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _method(self, variant: Callable[[Recorder], Stream]) -> Any:
        async def serve(requests: AsyncIterator[bytes], context: Any) -> None:
            await self._serve(variant, requests, context)

        return grpc.stream_stream_rpc_method_handler(serve)

    async def _serve(
        self, variant: Callable[[Recorder], Stream], requests: AsyncIterator[bytes], context: Any
    ) -> None:
        """Look at the client's credential, and wait for its first request: nothing is made for a stream before."""
        visitor = self._doors.visitor(context)
        try:
            with self._guard.look_after(visitor.end):
                await visitor.show()
                if visitor.refusal:  # nothing here is for strangers: not a byte of it is read
                    raise visitor.refusal
                if await visitor.speaks(requests):
                    await self._follow(variant, requests, visitor, context)
        except FAILURES as error:
            self._doors.tell(error, visitor)
            await context.abort(code_of(error), str(error))
        finally:
            visitor.leave()

    async def _follow(
        self,
        variant: Callable[[Recorder], Stream],
        requests: AsyncIterator[bytes],
        visitor: Visitor[Key],
        context: Any,
    ) -> None:
        """Read in a task of its own and write here, until the client leaves or breaks the protocol."""
        recorder = _LateRecorder()
        session = Session(variant(recorder), recorder.known)
        connection = _Connection(self._hub, session, recorder)
        visitor.pass_on(connection.fail, session.doubt)
        reader = asyncio.create_task(self._read(requests, connection, visitor))
        try:
            await self._write(connection, context)
        finally:
            reader.cancel()
            connection.close()
            connection.failure = None  # whose traceback leads back to here

    async def _read(
        self, requests: AsyncIterator[bytes], connection: _Connection[Key], visitor: Visitor[Key]
    ) -> None:
        try:
            await self._take(visitor.first_request(), connection, visitor)
            async for data in requests:
                await self._take(data, connection, visitor)
        except FAILURES as error:
            connection.fail(
                error.with_traceback(None)
            )  # else it would hold the request until garbage is collected
        finally:
            connection.finished = True
            connection.session.bell.set()

    async def _take(self, data: bytes, connection: _Connection[Key], visitor: Visitor[Key]) -> None:
        session = connection.session
        if connection.key is None:
            visitor.read(data)
        session.stream.take(data)
        if connection.key is None:
            await self._introduce(connection, visitor)
        self._hub.answered(session)
        session.bell.set()

    async def _introduce(self, connection: _Connection[Key], visitor: Visitor[Key]) -> None:
        """Find out whose stream it is."""
        try:
            key = self._identify(connection.session.stream.node)
        except ValueError as error:
            raise ProtocolError(str(error)) from None
        await visitor.prove(key)
        owner = self._doors.belongs(key)
        await self._descriptions.pace(owner, key)
        if connection.session.stream.is_return:
            self._returned()
        recorder = partial(self._record, key, visitor.address)
        connection.open(key, recorder, self._descriptions.one_more(owner, key, connection.fail))

    async def _write(self, connection: _Connection[Key], context: Any) -> None:
        session = connection.session
        while True:
            await session.rest()
            if connection.failure:
                raise connection.failure
            if connection.finished:
                return
            is_silent = True
            for response in session.stream.responses():
                is_silent = False
                await context.write(response)
                if connection.failure:
                    break
            if is_silent:
                self._hub.rested(session)


class _Connection(Generic[Key]):
    """What reader and writer of a stream share."""

    def __init__(self, hub: Hub[Key], session: Session, recorder: _LateRecorder) -> None:
        self.session = session
        self.key: Key | None = None
        self.failure: Failure | None = None
        self.finished = False
        self._hub = hub
        self._recorder = recorder
        self._end = ExitStack()

    def open(
        self, key: Key, record: Callable[[], StreamRecorder], described: AbstractContextManager[None]
    ) -> None:
        """Its owner is known, and gets what is meant for it unless the stream is to end already.

        ``described`` is entered for as long as it is open.
        """
        self.key = key
        if self.failure is None:
            self._end.enter_context(described)
            self._recorder.begin(record())
            self._end.callback(lambda: self._recorder.close(self._reason()))
            self._hub.open(key, self.session)
            self._end.callback(self._hub.close, key, self.session)

    def _reason(self) -> str:
        """Why it ends; empty because we stop."""
        if self.failure is not None:
            return "" if isinstance(self.failure, Stopping) else str(self.failure)
        return LEFT

    def close(self) -> None:
        """From here on nothing is sent, and nobody waits for an answer; once more does nothing."""
        self._end.close()

    def fail(self, error: Failure) -> None:
        """Have the writer end the stream. It is over at once, for the writer of a client that reads nothing gets to
        know only when that one reads again."""
        if self.failure is None:
            self.failure = error
        self.session.bell.set()
        self.close()


class _LateRecorder:
    """Passes on what is recorded once it is known whose stream it is; nothing is sent before that."""

    def __init__(self) -> None:
        self._recorder: StreamRecorder | None = None

    def begin(self, recorder: StreamRecorder) -> None:
        self._recorder = recorder

    def known(self) -> None:
        if self._recorder:
            self._recorder.known()

    def sent(self, type_url: str) -> None:
        if self._recorder:
            self._recorder.sent(type_url)

    def answered(self, type_url: str, answer: Acknowledgement) -> None:
        if self._recorder:
            self._recorder.answered(type_url, answer)

    def up_to_date(self, type_url: str, version: str) -> None:
        if self._recorder:
            self._recorder.up_to_date(type_url, version)

    def close(self, reason: str) -> None:
        if self._recorder:
            self._recorder.close(reason)
        self._recorder = None
