"""Writes the pages that follow from the code: ``python docs/generate.py``, or ``--check`` to compare."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from kuma_core.api import long_answers
from kuma_core.api.rights import asked_of, right_of
from kuma_core.auth.contract import Right, Verb
from kuma_core.builtin.configuration.settings import SETTINGS
from kuma_core.config import DURATION, FLAG, NUMBER, TEXTS, Config, Setting
from kuma_core.plugin.contract import GrpcServer, Server, UnixSocket
from kuma_core.runtime import descriptors, http, http_deadlines, http_doors
from kuma_core.testing.listeners import methods_of, registered, registered_routes

REFERENCE = Path(__file__).parent / "reference"

CONFIGURATION = """\
# Configuration of kuma-cp

<!-- written by docs/generate.py; change it there -->

`kuma-cp run --config-file kuma-cp.yaml` reads a YAML file of at most 1 MiB. Every key has an environment
variable too. The environment wins over the file, the file over the default. `GET /config` on the REST API and
the log's first line show what is in effect, passwords masked.

```yaml
general:
  advertisedHostname: cp.example.com
apiServer:
  port: 5681
```

| type | in the file | in the environment |
|---|---|---|
| text | text; numbers need quotes | as it is; set but empty is the empty text |
| number | a whole number | a whole number; `0x10` is hexadecimal, `010` octal |
| flag | `true` or `false` | `1`, `t`, `T` or `true`, `0`, `f`, `F` or `false`; `True` and `TRUE` too |
| list | a list of texts | texts separated by commas, spaces kept; set but empty is the empty list |
| duration | text such as `500ms`, `1.5s` or `1m30s` | the same |

A variable that is set but empty counts as set: for numbers, flags and durations that is an error. A key that
nobody knows is ignored, with a warning in the log. The first value that breaks a rule stops the start with
`Invalid configuration: <section> validation failed: …`, which names the key and where its value came from.

`kuma-cp config validate -c kuma-cp.yaml` checks a configuration without starting anything, `kuma-cp config view
--sources` shows what is in effect and where each value came from, and `kuma-cp config defaults` prints a whole file
(`conf/kuma-cp.conf`). See [Configure kuma-cp](../how-to/configure.md).

Some keys get their value from others if nothing is said:

| key | where it is empty or 0 |
|---|---|
| `bootstrapServer.params.xdsHost` | `general.advertisedHostname` |
| `bootstrapServer.params.xdsPort` | `xdsServer.grpcPort` |
| `adminServer.public.port` | `adminServer.local.port`, if the public admin server is on |
| `guiServer.apiServerUrl` | `http://localhost:` with `apiServer.port` |

If anything in the deprecated section `dataplaneTokenServer` differs from its default, that section takes the place of
all of `adminServer`, with a warning. The section of a store that is not chosen is read, but not checked.

Plugins add keys of their own; their pages list them.
"""


def configuration() -> str:
    """The page ``configuration.md``: every key that the kernel owns, by section."""
    parts = [CONFIGURATION]
    for section, settings in groupby(SETTINGS_BY_SECTION, key=_section):
        parts.append(f"\n## {section}\n\n{_table(settings)}")
    return "".join(parts)


def _section(setting: Setting) -> str:
    return setting.path.split(".")[0]


SETTINGS_BY_SECTION = sorted(SETTINGS, key=_section)


def _table(settings: Iterable[Setting]) -> str:
    rows = ["| key | environment variable | type | default | meaning |", "|---|---|---|---|---|"]
    rows += [_row(setting) for setting in settings]
    return "\n".join(rows) + "\n"


def _row(setting: Setting) -> str:
    variables = ", ".join(f"`{name}`" for name in (setting.env, *setting.aliases) if name)
    help_ = setting.help.replace("|", "\\|")
    return f"| `{setting.path}` | {variables} | {setting.type.name} | {_default(setting)} | {help_} |"


def _default(setting: Setting) -> str:
    """The default as one would write it in the file; on one line."""
    if setting.type is DURATION:
        return f"`{setting.type.show(setting.default)}`"
    if setting.type is FLAG:
        return f"`{str(setting.default).lower()}`"
    if setting.type is TEXTS:
        return " ".join(f"`{text}`" for text in setting.default) or "empty"
    if setting.type is NUMBER:
        return f"`{setting.default}`"
    return "`" + setting.default.replace("\n", "\\n") + "`" if setting.default else "empty"


LISTENERS = """\
# Listeners

<!-- written by docs/generate.py; change it there -->

Everything that a control plane listens on, and what it gives to whom. `tests/security/test_listeners.py` asks each with
and without its credential, and as a web page of another origin would, and compares.

{table}

Tokens are asked for unless `adminServer.apis.dataplaneToken.enabled` is false; then the gRPC servers give everybody
everything. [Close a mesh to strangers](../how-to/secure.md) says who needs which port. A plugin's server stands in the
log of the start (`listening`) with what it asks for.

## What a client of the HTTP servers may use up

Nobody has to show anything to be slow. Each server has bounds of its own:

| what | bound | past it |
|---|---|---|
| the whole head of a request | {head:g} s, {head_bytes} bytes | 408, or 431, and the end of the connection |
| the whole body | {body:g} s for each MiB | 408, and the end |
| bytes of a body | see above | 413, once the client has sent up to {discarded} MiB; nothing of it is kept |
| between two requests | {idle:g} s | the end |
| each MiB of an answer | {answer:g} s | the end |
| connections | {connections}, or a tenth of all descriptors | the one that waits the longest is ended, none at work |
| parts of requests that are not answered yet | {held} MiB in memory | the oldest of them is ended |
| long answers on their way | {packed} MiB, packed, for all servers together | 503 with `Retry-After` |

`/healthy` and `/ready` are answered without a worker, and {kept} descriptors are kept back for them: they answer while
everything else is exhausted. A server that finds no descriptor says so in the log once a minute.
"""


def listeners() -> str:
    """The page ``listeners.md``: what the code registers, asked of a control plane that is not started."""
    rows = [
        "| server | port | addresses | TLS | asks for | strangers get | web pages get | bytes of a body |"
    ]
    rows += ["|---|---|---|---|---|---|---|---|"]
    rows += [_listener(config, server) for config, server in registered()]
    return LISTENERS.format(
        table="\n".join(rows),
        head=http_deadlines.HEAD_SECONDS,
        body=http_deadlines.BODY_SECONDS,
        idle=http_deadlines.IDLE_SECONDS,
        answer=http_deadlines.ANSWER_SECONDS,
        head_bytes=http.HEAD_BYTES,
        discarded=http.DISCARDED_BYTES // http.MIB,
        connections=http.CONNECTIONS,
        held=http_doors.HELD_BYTES // http.MIB,
        packed=long_answers.PACKED_BYTES // http.MIB,
        kept=descriptors.KEPT_BACK,
    )


def _listener(config: Config, server: Server) -> str:
    if isinstance(server.port, UnixSocket):
        return _row_of(server, f"`{server.port.setting}`", "a Unix socket")
    port = f"`{server.port.setting}`, {config.number(server.port.setting)}"
    section = server.port.setting.rpartition(".")[0]
    paths = {setting.path for setting in config.settings} & {f"{section}.interface", f"{section}.address"}
    if paths:
        addresses = f"`{paths.pop()}`"
    else:
        addresses = f"`{server.port.interface}`" if server.port.interface else "all"
    return _row_of(server, port, addresses)


def _row_of(server: Server, port: str, addresses: str) -> str:
    body = "" if isinstance(server, GrpcServer) else str(server.body.most_bytes)
    tls = "yes" if server.tls else "no"
    cells = [server.name, port, addresses, tls, server.asks_for()]
    return "| " + " | ".join([*cells, server.access.strangers, server.access.web_pages, body]) + " |"


RIGHTS = """\
# Who may ask what

<!-- written by docs/generate.py; change it there -->

Every route of the REST API (5681, and 5686 over HTTPS) and of the admin API (5679, its Unix socket, and 5686), with
its class. `tests/access/test_matrix.py` asks each of them as every kind of user, in two meshes, and compares; a route
without a class fails the build.

| class | who may |
|---|---|
| public | everybody |
| reader | users in the group `kuma:reader` or `kuma:admin`; in the mode `localhostIsAdmin` everybody |
| admin | users in the group `kuma:admin`, who asks over the Unix socket or with a client certificate, and in the mode \
`localhostIsAdmin` this machine |

Who is in neither group may do what the [access policy](hooks.md#kuma_register_accesscontext) of a plugin allows by
verb, kind, mesh and name; without one, what is public. [The modes](../how-to/secure.md#who-may-change-a-mesh).

{table}

The bootstrap server (5682), `/healthy` and `/ready` (5680) are public; `/metrics` (5680) and `/events` (5685) are for
readers. A `PUT` or `DELETE` with `?dry-run` has the verb `dry-run`. `POST /in-force` is for readers who proved who
they are: who wrote nothing has nothing to wait for.
"""


def rights() -> str:
    """The page ``rights.md``: the class of each route that is registered."""
    rows = ["| server | path | method | class | verb | kind |", "|---|---|---|---|---|---|"]
    for server, route in registered_routes():
        for method in methods_of(route):
            right = right_of(route, method == "GET")
            verb, kind, _, _ = asked_of(route, method, {}, right)
            name = Verb.GENERATE_TOKEN.value if route.template == "/tokens" else verb.value
            shown = "" if right is Right.PUBLIC else name
            rows.append(f"| {server} | `{route.template}` | {method} | {right.value} | {shown} | {kind} |")
    return RIGHTS.format(table="\n".join(rows))


PAGES = {"configuration.md": configuration, "listeners.md": listeners, "rights.md": rights}


def main(arguments: list[str]) -> int:
    """Write every page; with ``--check`` name those that are not up to date, and return 1 if any is."""
    stale = []
    for name, make in PAGES.items():
        path, text = REFERENCE / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/reference/{name} {'is not up to date' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
