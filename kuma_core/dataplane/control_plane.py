"""The two questions that kuma-dp asks the control plane: its catalog, and Envoy's bootstrap configuration.

It asks directly, whatever proxies the environment names. Only the preparing process ever imports this.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from kuma_core import __version__, log_pipe
from kuma_core.clocks import difference, http_date
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.settings import is_absolute_url
from kuma_core.errors import KumaError
from kuma_core.http_client import (
    Answer,
    CutOff,
    HttpFailure,
    NoAnswer,
    NoConnection,
    NotConnected,
    NotHttp,
    Rules,
    exchange,
)

if TYPE_CHECKING:
    from ssl import SSLContext

TIMEOUT_SECONDS = 10.0
RETRY_AFTER_SECONDS = (0.2, 0.4, 0.8)
WAIT_SECONDS = 2.0
"""How often the bootstrap is asked for while the control plane is there and its store does not answer."""
TOLD_AGAIN_SECONDS = 60.0
UNAVAILABLE = 503
LARGEST_ANSWER = 4 * 1024 * 1024
DEEPEST = 100


class Unreachable(KumaError):
    """Nobody answers at the address: the control plane may not have been started yet."""


class NoDataplane(KumaError):
    """The control plane knows no such Dataplane, or no such Mesh, yet."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """What of ``GET /catalog`` concerns kuma-dp: URLs; an empty token URL means that tokens are off.

    ``serving_url`` takes tokens over HTTPS, from whoever knows the root of the bootstrap; empty if nothing does.
    """

    bootstrap_url: str
    token_url: str
    serving_url: str = ""


def fetch_catalog(address: str, log: Log, tls: SSLContext | None = None) -> Catalog:
    """Ask the API server at ``address`` which other servers there are.

    ``tls`` is for an ``https`` address; without it the certificates that the system trusts are good. Raises
    ``KumaError``, ``Unreachable`` if nobody is there.
    """
    url = address.rstrip("/") + "/catalog"
    try:
        answer = _ask("GET", url, None, log, tls)
    except HttpFailure as error:
        raise _kind(error)(
            f"could not retrieve the catalog: could not execute the request: {url}: {_reason(error)}. Start kuma-cp, "
            "or name the URL of its API server with --cp-address."
        ) from error
    if answer.status != 200:
        raise _catalog_error(
            f"unexpected status code {answer.status}. Expected 200 from {url}. "
            f"{_explained(answer.body)}{_WHICH_SERVER}"
        )
    return _catalog(url, answer.body)


_WHICH_SERVER = "Check that --cp-address is the URL of kuma-cp's API server (port 5681)."


def _catalog(url: str, body: bytes) -> Catalog:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _catalog_error(f"the answer of {url} is not JSON. {_WHICH_SERVER}") from error
    bootstrap_url = _text(document, "apis", "bootstrap", "url")
    if not is_absolute_url(bootstrap_url):
        raise _catalog_error(
            f'{url} names no bootstrap server: apis.bootstrap.url is "{bootstrap_url}". {_WHICH_SERVER}'
        )
    token_url, serving_url = (
        _text(document, "apis", *path) for path in (("dataplaneToken", "localUrl"), ("serving", "url"))
    )
    return Catalog(bootstrap_url, token_url, serving_url if serving_url.startswith("https://") else "")


def _catalog_error(text: str) -> KumaError:
    return KumaError(f"could not retrieve the catalog: {text}")


def _text(document: object, *path: str) -> str:
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, str) else ""


def fetch_bootstrap(
    url: str,
    request: Mapping[str, object],
    log: Log,
    tls: SSLContext | None = None,
    confine: Callable[[str], object] = lambda directory: None,
) -> bytes:
    """Ask the bootstrap server for Envoy's configuration: YAML, given as it came; it is one mapping.

    ``request`` holds ``mesh`` and ``name``, and if there are any ``adminPort``, ``adminPorts`` (others that will do),
    ``dataplaneTokenPath``, ``accessLogPipe``, ``accessLogFiles``, ``ipv6`` and ``tellsServing``. The path of ``url``
    is replaced. While the server is there but cannot answer yet (503, or not in time), it is asked again without end.
    ``confine`` is called with the folder below which the control plane wants the files of access logs, if it says so.
    Raises ``KumaError`` if the server cannot be reached (``Unreachable``), has no Dataplane (``NoDataplane``), or
    refuses, with its reason.
    """
    url = urlsplit(url)._replace(path="/bootstrap", query="", fragment="").geturl()
    try:
        answer = _ask_until_able("POST", url, json.dumps(request).encode(), log, tls)
    except HttpFailure as error:
        raise _kind(error)(
            f"{_FAILED}request to bootstrap server failed: {url}: {_reason(error)}. kuma-cp announces this URL; if it "
            "cannot be reached from here, set general.advertisedHostname (KUMA_GENERAL_ADVERTISED_HOSTNAME) there."
        ) from error
    if answer.status == 404:
        raise NoDataplane(f"{_FAILED}{_no_such_dataplane(request)}")
    if answer.status == 400 and (reasons := _causes(answer.body)):
        raise _bootstrap_error(f"{url} refuses to start this Envoy: {reasons}.")
    if answer.status != 200:
        raise _bootstrap_error(
            f"unexpected status code: {answer.status} from {url}. {_explained(answer.body)}"
            "The log of kuma-cp may say more."
        )
    clock = difference(answer.header("Date"), time.time())
    if clock:
        log.info(
            f"the clock of the control plane is {clock} of this machine's: certificates and tokens "
            "may count as expired, or not valid yet. Have both follow a time server",
            url=url,
        )
    _check_bootstrap(url, answer.body)
    if directory := unquote(answer.header(log_pipe.DIRECTORY_HEADER) or ""):
        confine(directory)
    return answer.body


_FAILED = "failed to generate Envoy bootstrap config: "


def _bootstrap_error(text: str) -> KumaError:
    return KumaError(f"{_FAILED}{text}")


def _no_such_dataplane(request: Mapping[str, object]) -> str:
    return (
        f'status: 404. Did you first apply a Dataplane resource? There is no Dataplane "{request["name"]}" '
        f"in mesh \"{request['mesh']}\": create it with 'kumactl apply -f FILE', then start kuma-dp again."
    )


def _check_bootstrap(url: str, body: bytes) -> None:
    """Only whether it is one YAML mapping; Envoy itself checks the rest, strictly, and names the field."""
    import yaml

    try:
        is_mapping = _is_mapping(body)
    except (yaml.YAMLError, ValueError) as error:
        raise _bootstrap_error(
            f"could not parse the bootstrap configuration: {_where(url, error)}"
        ) from error
    if not is_mapping:
        reason = f"it is no YAML mapping. Is {url} kuma-cp's bootstrap server?"
        raise _bootstrap_error(f"could not parse the bootstrap configuration: {reason}")


def _is_mapping(body: bytes) -> bool:
    """Looks at events, not at objects: composing deep nesting recurses in C until the process dies."""
    import yaml

    roots, depth = [], 0
    for event in yaml.parse(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if depth == 0 and isinstance(event, yaml.NodeEvent):
            roots.append(type(event))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or isinstance(event, yaml.AliasEvent):  # aliases may stand for gigabytes
            raise ValueError
    return roots == [yaml.MappingStartEvent]


def _where(url: str, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    problem = getattr(error, "problem", None) or f"it is no YAML that could be read ({type(error).__name__})"
    return f"{problem}{place}. Is {url} kuma-cp's bootstrap server?"


def _explained(body: bytes) -> str:
    """What the JSON error body says, as sentences with a space behind; nothing if it is something else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    texts = [_text(document, "title"), _text(document, "details"), _causes(body)]
    return "".join(f"{text.rstrip('.')}. " for text in texts if text)


def _causes(body: bytes) -> str:
    """The single fields that the JSON error body complains of."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    causes = document.get("causes") if isinstance(document, dict) else None
    texts = [
        ": ".join(filter(None, (_text(cause, "field"), _text(cause, "message")))).rstrip(".")
        for cause in (causes if isinstance(causes, list) else [])
    ]
    return ". ".join(filter(None, texts))


def _ask_until_able(method: str, url: str, body: bytes, log: Log, tls: SSLContext | None) -> Answer:
    """One request, repeated while the control plane cannot answer because its store does not: that passes."""
    told_at = -TOLD_AGAIN_SECONDS
    while True:
        try:
            answer = _ask(method, url, body, log, tls)
            if answer.status != UNAVAILABLE:
                return answer
            reason = _explained(answer.body).strip() or f"status {UNAVAILABLE}"
        except NoAnswer as error:
            reason = str(error)
        if time.monotonic() - told_at >= TOLD_AGAIN_SECONDS:
            told_at = time.monotonic()
            print(f"Warning: waiting for the control plane: {url}: {reason}", file=sys.stderr, flush=True)
        time.sleep(WAIT_SECONDS)


def _ask(method: str, url: str, body: bytes | None, log: Log, tls: SSLContext | None) -> Answer:
    """One request, repeated only while no connection comes about: the control plane may be starting."""
    headers = {"User-Agent": f"kuma-dp/{__version__}", "Date": http_date(time.time())}
    headers |= {"Content-Type": "application/json"} if body else {}
    rules = Rules(TIMEOUT_SECONDS, LARGEST_ANSWER, tls=tls, proxies=False)
    for pause in RETRY_AFTER_SECONDS:
        try:
            return exchange(method, url, headers, body, rules)
        except NotConnected as error:
            log.info("cannot connect, trying again", url=url, reason=str(error), seconds=pause)
            time.sleep(pause)
    return exchange(method, url, headers, body, rules)


def _kind(failure: HttpFailure) -> type[KumaError]:
    return Unreachable if isinstance(failure, NotConnected | NoConnection | NoAnswer) else KumaError


def _reason(failure: HttpFailure) -> str:
    """Why there is no answer, in words of our own for a server that is another one than it should be."""
    if isinstance(failure, NotHttp):
        return f"what answers there does not speak HTTP ({failure.kind})"
    return "the answer ended too early" if isinstance(failure, CutOff) else str(failure)
