"""The Aggregated Discovery Service on grpc.aio: one reader and one writer for each stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Generic, Protocol

import grpc
import structlog

from kuma_core.auth.contract import Proof, Unauthenticated
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.xds.keepalive import KEEPALIVE
from kuma_core.xds.proxy import Node
from kuma_core.xds.server.delta import DeltaStream
from kuma_core.xds.server.guard import Guard, Pass, Stopping
from kuma_core.xds.server.hub import Hub, Key, Session
from kuma_core.xds.server.sotw import SotwStream
from kuma_core.xds.server.stream import Acknowledgement, ProtocolError, Recorder, Stream
from kuma_core.xds.server.wire import MalformedRequest

_log = structlog.get_logger("xds-server")

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"

MAX_WAITING = 100_000
"""How many streams may wait to be accepted. The library's own 1 000 would turn proxies away at random when all of
them come back at once."""

SERVER_OPTIONS = [
    *KEEPALIVE.items(),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 1_000_000),
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

    def close(self) -> None:
        """The stream ended."""
        ...


class AdsService(Generic[Key]):
    """Serves both variants.

    ``identify`` turns a node into a key and raises ``ValueError``; ``record`` makes a recorder for a stream
    whose owner is known. ``authenticate`` gets the key and the ``authorization`` metadata, in a thread, and
    raises a ``KumaError`` that ends the stream; ``guard`` ends it later, once the proof is good no longer.
    """

    def __init__(
        self,
        hub: Hub[Key],
        identify: Callable[[Node], Key],
        record: Callable[[Key], StreamRecorder],
        authenticate: Callable[[Key, tuple[str, ...]], Proof | None] = lambda key, shown: None,
        guard: Guard | None = None,
    ) -> None:
        self._hub = hub
        self._identify = identify
        self._record = record
        self._authenticate = authenticate
        self._guard = Guard() if guard is None else guard

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
        """Read in a task of its own and write here, until the client leaves or breaks the protocol."""
        recorder = _LateRecorder()
        session = Session(variant(recorder), recorder.known)
        connection = _Connection(self._hub, session, recorder)
        reader = asyncio.create_task(self._read(requests, connection, credentials(context)))
        try:
            with self._guard.look_after(connection.fail):
                await self._write(connection, context)
        except (ProtocolError, MalformedRequest, KumaError) as error:
            await context.abort(_code(error), str(error))
        finally:
            reader.cancel()
            self._guard.release(connection.admitted)
            connection.close()

    async def _read(
        self, requests: AsyncIterator[bytes], connection: _Connection[Key], shown: tuple[str, ...]
    ) -> None:
        session = connection.session
        try:
            async for data in requests:
                session.stream.take(data)
                if connection.key is None:
                    await self._introduce(connection, shown)
                self._hub.answered(session)
                session.bell.set()
        except (ProtocolError, MalformedRequest, KumaError) as error:
            connection.fail(error)
        finally:
            connection.finished = True
            session.bell.set()

    async def _introduce(self, connection: _Connection[Key], shown: tuple[str, ...]) -> None:
        """Find out whose stream it is. With a node id that nobody can read it stays open, unanswered."""
        node = connection.session.stream.node
        if node == connection.refused:
            return
        try:
            key = self._identify(node)
        except ValueError as error:
            connection.refused = node
            _log.warning("a stream is left unanswered", node_id=node.id[:200], problem=str(error))
            return
        prove = partial(self._prove, key, shown)
        _, connection.admitted = await self._guard.admit(prove, connection.fail)
        connection.open(key, self._record)

    def _prove(self, key: Key, shown: tuple[str, ...]) -> tuple[Key, Proof | None]:
        return key, self._authenticate(key, shown)

    async def _write(self, connection: _Connection[Key], context: Any) -> None:
        session = connection.session
        while True:
            await session.rest()
            if connection.failure:
                raise connection.failure
            if connection.finished:
                return
            for response in session.stream.responses():
                await context.write(response)
                if connection.failure:
                    break


class _Connection(Generic[Key]):
    """What reader and writer of a stream share."""

    def __init__(self, hub: Hub[Key], session: Session, recorder: _LateRecorder) -> None:
        self.session = session
        self.key: Key | None = None
        self.admitted: Pass | None = None
        self.refused: Node | None = None
        self.failure: ProtocolError | MalformedRequest | KumaError | None = None
        self.finished = False
        self._hub = hub
        self._recorder = recorder
        self._end = ExitStack()

    def open(self, key: Key, record: Callable[[Key], StreamRecorder]) -> None:
        """Its owner is known, and gets what is meant for it unless the stream is to end already."""
        self.key = key
        if self.failure is None:
            self._recorder.begin(record(key))
            self._end.callback(self._recorder.close)
            self._hub.open(key, self.session)
            self._end.callback(self._hub.close, key, self.session)

    def close(self) -> None:
        """From here on nothing is sent, and nobody waits for an answer; once more does nothing."""
        self._end.close()

    def fail(self, error: ProtocolError | MalformedRequest | KumaError) -> None:
        """Have the writer end the stream. It is over at once, for the writer of a client that reads nothing gets to
        know only when that one reads again."""
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

    def close(self) -> None:
        if self._recorder:
            self._recorder.close()
        self._recorder = None


def credentials(context: Any) -> tuple[str, ...]:
    """Every ``authorization`` that a client sent along."""
    metadata = context.invocation_metadata() or ()
    return tuple(str(value) for name, value in metadata if name == "authorization")


def _code(error: Exception) -> grpc.StatusCode:
    if isinstance(error, StoreUnavailable | Stopping):
        return grpc.StatusCode.UNAVAILABLE
    if isinstance(error, Unauthenticated):
        return grpc.StatusCode.UNAUTHENTICATED
    if isinstance(error, KumaError):
        return grpc.StatusCode.INTERNAL  # nothing that another credential would mend
    if isinstance(error, ProtocolError) and error.unimplemented:
        return grpc.StatusCode.UNIMPLEMENTED
    return grpc.StatusCode.INVALID_ARGUMENT
