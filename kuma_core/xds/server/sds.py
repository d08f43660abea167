"""The Secret Discovery Service on grpc.aio: one secret a stream, pushed anew when it has to be.

What a secret holds, and who may have it, is asked of a ``SecretMaker``; its work runs in threads, off the loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Hashable
from concurrent.futures import Future
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import grpc
import structlog

from kuma_core.auth.contract import Unauthenticated
from kuma_core.counted import CountedLine
from kuma_core.errors import KumaError
from kuma_core.xds.proxy import Node
from kuma_core.xds.server import ads
from kuma_core.xds.server.bounds import MOST_UNPROVED, TooMany
from kuma_core.xds.server.codes import FAILURES, Failure, code_of
from kuma_core.xds.server.doors import AllowsTags, Doors, Recognised, Visitor, anything
from kuma_core.xds.server.guard import Guard
from kuma_core.xds.server.sds_hub import Key, MadeSecret, SdsHub, Session
from kuma_core.xds.server.stream import ProtocolError
from kuma_core.xds.server.wire import MalformedRequest, SotwRequest, parse_sotw, sotw_response

_log = structlog.get_logger("sds-server")
_stays = CountedLine(_log, "info", "a secret stays as it is")
_not_renewed = CountedLine(_log, "warning", "a secret cannot be renewed yet")

SERVER_OPTIONS = [
    *((name, value) for name, value in ads.SERVER_OPTIONS if name != "grpc.max_receive_message_length"),
    ("grpc.max_receive_message_length", MOST_UNPROVED),  # nobody has more to say: a request names one secret
]

SERVICE = "envoy.service.secret.v3.SecretDiscoveryService"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
RETRY_SECONDS = 5.0
"""How long to wait before a secret that could not be renewed is tried again."""
JITTER = 0.1
"""By which share of the time renewals are spread, so that not all come at once."""

MOST_QUESTIONS = 16
"""How often a stream without a credential may ask for its secret."""

T = TypeVar("T")


class SecretMaker(Protocol[Key]):
    """Makes secrets. Called from worker threads; every failure is a ``KumaError`` with the client's sentence."""

    def recognise(self, credentials: tuple[str, ...]) -> Recognised[Key] | None:
        """What somebody shows; ``None`` if everybody is believed."""
        ...

    def identify(self, node: Node, resource: str) -> Key:
        """Who says to be asking; raises ``ProtocolError`` if that cannot be read, or the resource is none. Called in
        the event loop."""
        ...

    def is_for_everybody(self, resource: str) -> bool:
        """Whether the secret is none."""
        ...

    def submit(self, key: Key, work: Callable[[], T]) -> Future[T]:
        """Have ``work`` done in a thread that is there for whoever asks."""
        ...

    def fingerprint(self, key: Key, resource: str) -> str:
        """What the secret would say now, without making it."""
        ...

    def make(self, key: Key, resource: str, again: int = 0, may: AllowsTags[Key] = anything) -> MadeSecret:
        """The secret. Its bytes differ from those of every other ``again``, what it says does not.

        ``may`` raises ``Unauthenticated`` if its client is not allowed what is in it, which ends the stream.
        """
        ...


class _Ended(Exception):
    """The client left."""


class SdsService(Generic[Key]):
    """Serves ``StreamSecrets``; ``FetchSecrets`` and ``DeltaSecrets`` are not implemented."""

    def __init__(
        self,
        maker: SecretMaker[Key],
        hub: SdsHub[Key],
        guard: Guard,
        belongs: Callable[[Key], Hashable] = lambda key: key,
    ) -> None:
        self._maker = maker
        self._hub = hub
        self._guard = guard
        self._doors = Doors("sds-server", guard, maker.recognise, belongs)

    def handler(self) -> grpc.GenericRpcHandler:
        """What a grpc server is given."""

        async def serve(requests: AsyncIterator[bytes], context: Any) -> None:
            await self._serve(requests, context)

        method = grpc.stream_stream_rpc_method_handler(serve)
        return grpc.method_handlers_generic_handler(SERVICE, {"StreamSecrets": method})

    async def _serve(self, requests: AsyncIterator[bytes], context: Any) -> None:
        """Look at the client's credential, and wait for its first request: nothing is made for a stream before."""
        visitor = self._doors.visitor(context)
        try:
            with self._guard.look_after(visitor.end):
                await visitor.show()
                if visitor.refusal:
                    visitor.be_a_stranger()
                if await visitor.speaks(requests):
                    await self._follow(requests, visitor, context)
        except _Ended:
            return
        except FAILURES as error:
            await self._abort(visitor.over or error, visitor, context)
        finally:
            visitor.leave()

    async def _follow(self, requests: AsyncIterator[bytes], visitor: Visitor[Key], context: Any) -> None:
        """Read in a task of its own and answer here, until the client leaves or breaks the protocol."""
        session: Session[Key] = Session()
        visitor.pass_on(session.end)
        reader = asyncio.create_task(_read(requests, session, visitor))
        try:
            while True:
                await self._step(session, visitor, context)
        finally:
            session.over = session.over and session.over.with_traceback(None)
            reader.cancel()
            self._hub.discard(session)

    async def _abort(self, error: Failure, visitor: Visitor[Key], context: Any) -> None:
        self._doors.tell(error, visitor)
        await context.abort(code_of(error), str(error))

    async def _step(self, session: Session[Key], visitor: Visitor[Key], context: Any) -> None:
        """Wait for a request, a nudge or the time to renew, and do what it asks for."""
        try:
            item = await asyncio.wait_for(session.inbox.get(), _seconds_left(session))
        except TimeoutError:
            await self._renew(session, visitor, context)
            return
        if session.over:
            raise session.over
        if isinstance(item, Exception):
            raise item
        if item is not None:
            await self._take(session, item, visitor, context)
        if session.nudged:
            session.nudged = False
            await self._look_again(session, visitor, context)

    async def _take(
        self, session: Session[Key], request: SotwRequest, visitor: Visitor[Key], context: Any
    ) -> None:
        if not request.names:
            session.wanted = False  # so Envoy says that nobody uses the secret any more
        elif await self._is_question(session, request, visitor):
            session.questions += 1
            if visitor.is_stranger and session.questions > MOST_QUESTIONS:
                raise TooMany(f"a stream without a credential may ask {MOST_QUESTIONS} times")
            await self._send(session, visitor, context)

    async def _is_question(self, session: Session[Key], request: SotwRequest, visitor: Visitor[Key]) -> bool:
        """Whether a request asks for the secret; one that answers a response does not."""
        if len(request.names) != 1:
            raise ProtocolError(f"SDS request must have exactly 1 resource name, got {len(request.names)}")
        (name,) = request.names
        if session.key is None:
            await self._introduce(session, request.node or Node(), name, visitor)
        elif name != session.resource:
            raise ProtocolError(f'SDS stream is for "{session.resource}" and cannot change to "{name:.100}"')
        wanted_again, session.wanted = not session.wanted, True
        return not self._is_answer(session, request) or wanted_again

    async def _introduce(self, session: Session[Key], node: Node, name: str, visitor: Visitor[Key]) -> None:
        """Find out whose stream it is."""
        key = self._maker.identify(node, name)
        if self._maker.is_for_everybody(name):
            await visitor.prove_or_go_on(key)
        else:
            await visitor.prove(key)
        session.key, session.resource, session.is_strange = key, name, visitor.is_stranger
        self._hub.add(session)

    def _is_answer(self, session: Session[Key], request: SotwRequest) -> bool:
        """Whether a request answers a response of this stream. What it says of an older one is not news: were it
        answered, two quick responses would be followed by endless ones."""
        if session.sent is None or request.nonce != str(session.nonce):
            return _is_older(request.nonce, session.nonce)
        if session.is_strange:  # what anybody may say is not believed of a proxy
            return True
        outcome = "acknowledged" if request.error is None else "rejected"
        self._hub.counts[session.resource, outcome] += 1
        if request.error is None:
            session.holds = session.sent.authority
            self._tell_accepted(session)
        else:
            self._take_refusal(session, request.error)
        return True

    def _tell_accepted(self, session: Session[Key]) -> None:
        if session.key is not None:
            self._hub.accepted(session.key)
        if count := self._hub.refused.forget(session.key, session.resource):
            said = {"proxy": str(session.key), "resource": session.resource}
            _log.info("a proxy takes a secret that it had refused", **said, refusals=count)

    def _take_refusal(self, session: Session[Key], reason: str) -> None:
        """Offer it again later, in other bytes; a reason that repeats is not told again."""
        wait, is_news = self._hub.refused.note(session.key, session.resource, reason)
        session.send_soon(wait)
        if is_news:
            said = {"proxy": str(session.key), "resource": session.resource, "problem": reason[:500]}
            _log.warning("a proxy rejects a secret and keeps the one before", **said)

    async def _send(self, session: Session[Key], visitor: Visitor[Key], context: Any) -> None:
        assert session.key is not None
        again = 0 if session.is_strange else self._hub.refused.times(session.key, session.resource)
        made = await self._in_thread(partial(self._maker.make, again=again, may=visitor.allows_tags), session)
        if session.over:
            raise session.over
        session.nonce += 1
        session.heard = 0
        session.sent, session.send_at = made, None
        self._hub.counts[session.resource, "sent"] += 1
        if made.renew_after is not None:
            spread = 1 + random.uniform(-JITTER, 0)
            session.send_soon(made.renew_after * spread)
        await context.write(
            sotw_response(SECRET, made.sealed.version, str(session.nonce), [made.sealed.sotw])
        )

    async def _in_thread(self, work: Callable[[Key, str], T], session: Session[Key]) -> T:
        """Have the maker work in one of its threads."""
        assert session.key is not None
        done = self._maker.submit(session.key, partial(work, session.key, session.resource))
        return await asyncio.wrap_future(done)

    async def _look_again(self, session: Session[Key], visitor: Visitor[Key], context: Any) -> None:
        """Push a new secret if it would say something else now; a stream that has one is never ended for it."""
        assert session.key is not None
        if not session.wanted:
            return
        try:
            found = await self._in_thread(self._maker.fingerprint, session)
            if session.sent is None or found != session.sent.fingerprint:
                await self._send(session, visitor, context)
        except Unauthenticated:
            raise
        except KumaError as error:
            _stays(str(error), resource=session.resource, problem=str(error))

    async def _renew(self, session: Session[Key], visitor: Visitor[Key], context: Any) -> None:
        session.send_at = None
        if not session.wanted:
            return
        try:
            await self._send(session, visitor, context)
        except Unauthenticated:
            raise
        except KumaError as error:
            _not_renewed(str(error), resource=session.resource, problem=str(error))
            session.send_soon(RETRY_SECONDS)


async def _read(requests: AsyncIterator[bytes], session: Session[Any], visitor: Visitor[Any]) -> None:
    try:
        await _hear(visitor.first_request(), session, visitor)
        async for data in requests:
            await _hear(data, session, visitor)
        await session.inbox.put(_Ended())
    except (KumaError, MalformedRequest) as error:
        await session.inbox.put(error.with_traceback(None))  # else it would hold the request


async def _hear(data: bytes, session: Session[Any], visitor: Visitor[Any]) -> None:
    session.hear(data, visitor)
    await session.inbox.put(parse_sotw(data))


def _is_older(nonce: str, last: int) -> bool:
    """Whether a nonce is that of an earlier response; the first one has 1."""
    return len(nonce) <= len(str(last)) and nonce.isdecimal() and 0 < int(nonce) < last


def _seconds_left(session: Session[Any]) -> float | None:
    if session.send_at is None:
        return None
    return max(0.0, session.send_at - asyncio.get_running_loop().time())
