"""A control plane of Kuma 0.3.2, as far as its HTTP APIs go: what it answers, and what it refuses, word for word.

It has no ``/kinds`` and no ``Kuma-Result``, takes no notice of a query that it does not know, answers an empty list for
a mesh that it does not have, and 406 to whoever accepts too little. Resources are kept as they came.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

VERSION = "0.3.2"
COLLECTIONS = {
    "dataplanes": "Dataplane",
    "dataplane-insights": "DataplaneInsight",
    "health-checks": "HealthCheck",
    "proxytemplates": "ProxyTemplate",
    "traffic-permissions": "TrafficPermission",
    "traffic-logs": "TrafficLog",
    "traffic-routes": "TrafficRoute",
}
JSON, ANYTHING = "application/json", "*/*"
NAME = re.compile(r"[0-9a-z-_]*")
BAD_NAME = "invalid characters. Valid characters are numbers, lowercase latin letters and '-', '_' symbols."


@dataclass
class Reply:
    """A status and a body; one that is a text has the content type of the router."""

    status: int
    body: Any = None

    @property
    def data(self) -> bytes:
        """The body as it is sent."""
        if self.body is None or isinstance(self.body, str):
            return (self.body or "").encode()
        text = json.dumps(self.body, indent=1, ensure_ascii=False)
        return re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", text).encode()

    @property
    def content_type(self) -> str:
        """What it is called, or empty where nothing is."""
        if self.body is None:
            return ""
        return "text/plain; charset=utf-8" if isinstance(self.body, str) else JSON


class Refused(Exception):
    """A request that is answered otherwise than well."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


def router_error(status: int, words: str) -> Refused:
    return Refused(Reply(status, f"{status}: {words}"))


def api_error(status: int, title: str, details: str, causes: Sequence[tuple[str, str]] = ()) -> Refused:
    value: dict[str, Any] = {"title": title, "details": details}
    if causes:
        value["causes"] = [{"field": name, "message": message} for name, message in causes]
    return Refused(Reply(status, value))


@dataclass
class Request:
    """What came."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    def check(self, produces: str, methods: Sequence[str]) -> None:
        """The router's rules: the method, the type of a body, and what is accepted, in pieces between commas."""
        if self.method not in methods:
            raise router_error(405, "Method Not Allowed")
        if self.body and self.headers.get("content-type", "").partition(";")[0] != JSON:
            raise router_error(415, "Unsupported Media Type")
        accepted = self.headers.get("accept", ANYTHING).split(",")
        if ANYTHING not in accepted and produces not in accepted:
            raise router_error(406, "Not Acceptable")


@dataclass
class Kuma03:
    """Its resources by path, in the order in which they were made, and every request that changed something."""

    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    written: list[tuple[str, str]] = field(default_factory=list)
    tokens_enabled: bool = True
    url: str = ""
    admin_url: str = ""

    def __post_init__(self) -> None:
        self.resources["/meshes/default"] = {
            "type": "Mesh",
            "name": "default",
            "mtls": {"ca": {"builtin": {}}},
        }

    # -- the API server

    def api(self, request: Request) -> Reply:
        """Port 5681."""
        path = request.path.rstrip("/") or "/"
        index: dict[str, Callable[[], Any]] = {
            "/": lambda: {"tagline": "Kuma", "version": VERSION},
            "/config": lambda: {"environment": "universal"},
            "/catalog": self._catalog,
        }
        if path in index:
            request.check("", ["GET"])
            return Reply(200, index[path]())
        match path.split("/")[1:]:
            case ["meshes"]:
                request.check(JSON, ["GET"])
                return self._list(r"/meshes/[^/]+")
            case ["meshes", name]:
                return self._item(request, path, "Mesh", None, name)
            case ["meshes", mesh, "dataplanes+insights"]:
                request.check(JSON, ["GET"])
                return self._overviews(mesh, request.query)
            case ["meshes", mesh, "dataplanes+insights", name]:
                request.check(JSON, ["GET"])
                return Reply(200, {"dataplaneInsight": {}} | self._overview(mesh, name))
            case ["meshes", mesh, collection] if collection in COLLECTIONS:
                request.check(JSON, ["GET"])
                return self._list(rf"/meshes/{re.escape(mesh)}/{collection}/[^/]+")
            case ["meshes", mesh, collection, name] if collection in COLLECTIONS:
                return self._item(request, path, COLLECTIONS[collection], mesh, name)
        raise router_error(404, "Page Not Found")

    def _catalog(self) -> Any:
        admin = {"localUrl": self.admin_url, "publicUrl": ""}
        tokens = admin if self.tokens_enabled else {"localUrl": "", "publicUrl": ""}
        bootstrap = {"url": "http://localhost:5682"}
        return {"apis": {"bootstrap": bootstrap, "dataplaneToken": tokens, "admin": admin}}

    def _list(self, pattern: str) -> Reply:
        found = [shown(value) for path, value in self.resources.items() if re.fullmatch(pattern, path)]
        return Reply(200, {"items": found})

    def _item(self, request: Request, path: str, kind: str, mesh: str | None, name: str) -> Reply:
        request.check(JSON, ["GET", "PUT", "DELETE"])
        if request.method != "GET":
            self.written.append((request.method, path))
        if request.method == "PUT":
            return self._put(path, request.body, kind, mesh, name)
        title = "Could not retrieve a resource" if request.method == "GET" else "Could not delete a resource"
        if path not in self.resources:
            raise api_error(404, title, "Not found")
        if request.method == "GET":
            return Reply(200, shown(self.resources[path]))
        for gone in [key for key in self.resources if key == path or key.startswith(f"{path}/")]:
            del self.resources[gone]
        return Reply(200)

    def _put(self, path: str, body: bytes, kind: str, mesh: str | None, name: str) -> Reply:
        title = "Could not process a resource"
        try:
            value = json.loads(body)
            meta = {key: value.get(key, "") for key in ("name", "type", "mesh")}
        except (ValueError, AttributeError):
            raise api_error(500, title, "Internal Server Error") from None
        expected = {"name": name, "type": kind} | ({} if mesh is None else {"mesh": mesh})
        causes = [(key, f"{key} from the URL has to be the same as in body") for key in expected]
        causes = [cause for cause in causes if meta[cause[0]] != expected[cause[0]]]
        for key, text in (("name", name), ("mesh", name if mesh is None else mesh)):
            causes += [] if NAME.fullmatch(text) else [(key, BAD_NAME)]
        if causes:
            raise api_error(400, title, "Resource is not valid", causes)
        is_new = path not in self.resources
        self._validate(
            kind, value, "Could not create a resource" if is_new else "Could not update a resource"
        )
        if is_new and mesh is not None and f"/meshes/{mesh}" not in self.resources:
            cause = ("mesh", f"mesh of name {mesh} is not found")
            raise api_error(400, "Could not create a resource", "Mesh is not found", [cause])
        if kind == "Mesh":
            value["mtls"] = {"ca": {"builtin": {}}, **(value.get("mtls") or {})}
        self.resources[path] = value
        return Reply(201 if is_new else 200)

    def _validate(self, kind: str, value: dict[str, Any], title: str) -> None:
        """One rule stands for all of them."""
        networking = value.get("networking") or {}
        if kind == "Dataplane" and not networking.get("inbound") and not networking.get("gateway"):
            message = "has to contain at least one inbound interface or gateway"
            raise api_error(400, title, "Resource is not valid", [("networking", message)])

    def _overview(self, mesh: str, name: str) -> dict[str, Any]:
        dataplane = self.resources.get(f"/meshes/{mesh}/dataplanes/{name}")
        if dataplane is None:
            raise api_error(404, "Could not retrieve a dataplane overview", "Not found")
        insight = self.resources.get(f"/meshes/{mesh}/dataplane-insights/{name}")
        value = {"type": "DataplaneOverview", "mesh": mesh, "name": name, "dataplane": spec_of(dataplane)}
        return shown(value | ({"dataplaneInsight": spec_of(insight)} if insight else {}))

    def _overviews(self, mesh: str, query: Sequence[tuple[str, str]]) -> Reply:
        pairs = [value.split(":") for key, value in query if key == "tag"]
        wanted = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
        prefix = f"/meshes/{mesh}/dataplanes/"
        names = [path.removeprefix(prefix) for path in self.resources if path.startswith(prefix)]
        overviews = [self._overview(mesh, name) for name in names]
        return Reply(200, {"items": [found for found in overviews if matches(found["dataplane"], wanted)]})

    # -- the admin server

    def admin(self, request: Request) -> Reply:
        """Port 5679."""
        if request.path == "/tokens" and self.tokens_enabled:
            request.check("", ["POST"])
            return self._token(request.body)
        if re.fullmatch(r"/meshes/[^/]+/ca/provided/certificates", request.path):
            request.check(JSON, ["GET", "POST"])
            raise api_error(404, "Could not retrieve signing certs", "Not found")
        raise Refused(Reply(404, "404 page not found\n"))

    def _token(self, body: bytes) -> Reply:
        try:
            value = json.loads(body)
        except ValueError:
            raise Refused(Reply(400)) from None
        causes = [(key, "cannot be empty") for key in ("name", "mesh") if not value.get(key)]
        if causes:
            raise api_error(400, "Invalid request", "Resource is not valid", causes)
        parts = ({"alg": "HS256", "typ": "JWT"}, {"Name": value["name"], "Mesh": value["mesh"]})
        signed = ".".join(encoded(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
        signature = hmac.digest(b"a key of RSA", signed.encode(), hashlib.sha256)
        return Reply(200, f"{signed}.{encoded(signature)}")


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def shown(value: dict[str, Any]) -> dict[str, Any]:
    """As it is answered: the keys of the top level are sorted."""
    return {key: value[key] for key in sorted(value)}


def spec_of(value: dict[str, Any]) -> dict[str, Any]:
    return {key: member for key, member in value.items() if key not in ("type", "mesh", "name")}


def matches(dataplane: dict[str, Any], wanted: dict[str, str]) -> bool:
    """Whether one inbound, or the gateway, has all tags."""
    networking = dataplane["networking"]
    sets = [inbound["tags"] for inbound in networking.get("inbound", [])]
    sets += [networking["gateway"]["tags"]] if "gateway" in networking else []
    return any(all(tags.get(k) == v or (v == "*" and k in tags) for k, v in wanted.items()) for tags in sets)


def _handler(answer: Callable[[Request], Reply]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, unquote(parts.path), parse_qsl(parts.query), headers, body)
            try:
                reply = answer(request)
            except Refused as refused:
                reply = refused.reply
            self.send_response(reply.status)
            if reply.content_type:
                self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.data)))
            self.end_headers()
            self.wfile.write(reply.data)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _answer

        def log_message(self, format: str, *args: Any) -> None:
            return None

    return Handler


@contextmanager
def _served(answer: Callable[[Request], Reply], port: int) -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", port), _handler(answer))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@contextmanager
def running_kuma_0_3(port: int = 0) -> Iterator[Kuma03]:
    """One that runs, with its API server on ``port``, or on a free one."""
    kuma = Kuma03()
    with ExitStack() as stack:
        kuma.admin_url = stack.enter_context(_served(kuma.admin, 0))
        kuma.url = stack.enter_context(_served(kuma.api, port))
        yield kuma
