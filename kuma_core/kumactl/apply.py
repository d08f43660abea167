"""``kumactl apply``: read, render, check everything, and only then send."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from kuma_core.commandline import tell
from kuma_core.documents import shown
from kuma_core.errors import KumaError
from kuma_core.kumactl.dry_run import VALIDATE, XDS, DryRunCommand, Report, check_output, dry_run_option
from kuma_core.kumactl.output import is_of_plugin, resources_option, resources_text
from kuma_core.kumactl.parameters import key_values, seconds
from kuma_core.kumactl.session import Session, pass_session, warn
from kuma_core.model import Scope

MAX_TOTAL = 64 * 1024 * 1024
"""Characters of all places together; more is refused."""

if TYPE_CHECKING:
    from kuma_core.kumactl.client import Client
    from kuma_core.kumactl.kinds import Kind, ServedKinds


@dataclass(frozen=True, slots=True)
class Planned:
    """A document that passed the checks: its kind, its name, where it goes and what is sent."""

    kind: Kind
    name: str
    path: str
    value: dict[str, Any]

    def __str__(self) -> str:
        return f'{self.kind.name} "{self.name}"'


@dataclass(frozen=True, slots=True)
class Document:
    """A value that was read, and where it stands, in words for messages."""

    value: Any
    where: str


@click.command("apply", cls=DryRunCommand, short_help="Create or update resources.")
@click.option(
    "-f",
    "--file",
    "given",
    multiple=True,
    metavar="FILE|FOLDER|URL|-",
    help="Where the documents are; repeatable. [default: standard input]",
)
@click.option(
    "-v",
    "--var",
    "variables",
    multiple=True,
    metavar="KEY=VALUE",
    callback=key_values,
    help="Set a variable of the template; repeatable, comma separated.",
)
@click.option("--strict", is_flag=True, help="Refuse a template that uses a variable which is not set.")
@dry_run_option("Render and check only; change nothing")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until all connected proxies that this changes run with what was applied.",
)
@click.option(
    "--timeout",
    default="60s",
    show_default=True,
    metavar="DURATION",
    callback=seconds,
    help="How long to wait with --wait.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print nothing for what went well.")
@resources_option
@pass_session
def apply(
    session: Session,
    given: tuple[str, ...],
    variables: dict[str, str],
    strict: bool,
    dry_run: str,
    wait: bool,
    timeout: float,
    quiet: bool,
    output: str,
) -> None:
    """Create or update the resources of one or more YAML or JSON documents.

    A folder stands for all *.yaml, *.yml and *.json in it and below. What `kumactl get -o yaml` prints is
    taken, too. All documents are checked before the first one is sent. The text may be a Mustache template:
    {{name}} is replaced by the value of -v name=VALUE.

    With --dry-run=xds the control plane tells which proxies each document would change, and how. Each is tried
    on its own against what is stored now, not against the documents before it. The output format is for these
    answers.

    With --wait it returns once every proxy whose configuration changes, at whichever control plane, has
    acknowledged the new one; after the time-out it fails and says who has not, and why.

    With -o kubernetes nothing is sent and no server asked: it prints the documents as manifests for kubectl.
    """
    if is_of_plugin(output):
        _refuse_beside(output, dry_run, wait)
        click.echo(resources_text(_checked(_read(given, variables, strict)), output))
        return
    check_output(output, dry_run)
    documents = _read(given, variables, strict)
    client = session.client()
    planned = _plan(documents, client, dry_run)
    if session.mesh_flag and any(p.kind.scope is Scope.MESH for p in planned):
        warn("apply does not use --mesh: each document names its own mesh")
    say = _silent if quiet else click.echo
    if dry_run == XDS:
        _try(planned, client, Report("apply", output, say))
    elif dry_run == VALIDATE:
        for resource in planned:
            say(f"would apply {resource}")
    elif wait:
        _send_and_wait(planned, client, say, timeout)
    else:
        _send(planned, client, say)


def _refuse_beside(output: str, dry_run: str, wait: bool) -> None:
    if dry_run or wait:
        flag = "--dry-run" if dry_run else "--wait"
        message = f"-o {output} prints the documents and sends nothing: leave {flag} away"
        raise click.UsageError(message, click.get_current_context())


def _checked(documents: Sequence[Document]) -> list[dict[str, Any]]:
    """The documents as resources, as far as that can be known without a server."""
    problems = []
    for document in documents:
        try:
            for name in ("type", "name"):
                _field(_mapping(document.value), name)
        except KumaError as error:
            problems.append((document.where, str(error)))
    if problems:
        raise KumaError(_invalid(problems))
    return [document.value for document in documents]


def _send_and_wait(
    planned: Sequence[Planned], client: Client, say: Callable[[str], Any], timeout: float
) -> None:
    from kuma_core.kumactl import in_force

    meshes = _meshes(planned)
    since = in_force.prepare(client, meshes)
    _send(planned, client, say)
    say(in_force.wait(client, meshes, timeout, since))


def _meshes(planned: Sequence[Planned]) -> list[str]:
    """The meshes that the documents touch; none at all stands for every one."""
    found = set()
    for resource in planned:
        if resource.kind.scope is Scope.MESH:
            found.add(str(resource.value["mesh"]))
        elif resource.kind.name == "Mesh":
            found.add(resource.name)
        else:
            return []
    return sorted(found)


def _silent(_line: str) -> None:
    return None


def _read(given: Sequence[str], variables: Mapping[str, str], strict: bool) -> list[Document]:
    """Every document of every place, in order. An empty list of items is nothing to do, and no error."""
    from kuma_core.kumactl import source

    documents: list[Document] = []
    total, places = 0, source.places(given)
    for place in places:
        text, name = source.read(place)
        total += len(text)
        if total > MAX_TOTAL:
            raise KumaError(f"all files together are larger than {MAX_TOTAL} characters; apply fewer at once")
        documents += _documents(text, name, variables, strict)
    if not documents:
        where = ", ".join("standard input" if place == "-" else place for place in places[:3])
        raise KumaError(f"nothing to apply: {where}{', …' * (len(places) > 3)} holds no document")
    return [item for document in documents for item in _items(document)]


def _documents(text: str, name: str, variables: Mapping[str, str], strict: bool) -> list[Document]:
    from kuma_core.kumactl import template

    documents = _load(template.render(text, variables, name, strict, warn), name)
    template.refuse_added(text, variables, name, _count)
    return documents


def _load(text: str, name: str) -> list[Document]:
    from kuma_core.documents import load_documents

    values = load_documents(text, name, as_written=True)
    return [Document(value, f"document {number} of {name}") for number, value in enumerate(values, start=1)]


def _count(text: str) -> int | None:
    """How many resources a text holds; None if it cannot be read."""
    try:
        return sum(len(list(_items(document))) for document in _load(text, ""))
    except KumaError:
        return None


def _items(document: Document) -> Iterator[Document]:
    """The items of a list as ``kumactl get -o yaml`` prints it; any other document is one by itself."""
    value = document.value
    is_list = isinstance(value, dict) and "type" not in value and isinstance(value.get("items"), list)
    if not is_list:
        yield document
        return
    for index, item in enumerate(value["items"]):
        yield Document(item, f"items[{index}] in {document.where}")


def _plan(documents: Sequence[Document], client: Client, dry_run: str) -> list[Planned]:
    """All documents checked; one error for all that is wrong with them."""
    from kuma_core.kumactl import kinds as kinds_module

    kinds = kinds_module.fetch(client)
    if dry_run == XDS:
        kinds.check_dry_run()
    planned, problems = [], []
    for document in documents:
        try:
            planned.append(plan(document.value, kinds))
        except KumaError as error:
            problems.append((document.where, str(error)))
    if problems:
        raise KumaError(_invalid(problems))
    return planned


def _invalid(problems: Sequence[tuple[str, str]]) -> str:
    if len(problems) == 1:
        where, problem = problems[0]
        return f"YAML contains invalid resource: {problem} ({where}); nothing was applied"
    lines = [f"* {where}: {problem}" for where, problem in problems]
    return "\n".join(["YAML contains invalid resource: nothing was applied", *lines])


def plan(document: Any, kinds: ServedKinds) -> Planned:
    """One document checked against what the server has. Raises KumaError with what is wrong."""
    document = _mapping(document)
    kind = kinds.find_type(_field(document, "type"))
    name = _field(document, "name")
    mesh = _field(document, "mesh") if kind.scope is Scope.MESH else ""
    if kind.read_only:
        raise KumaError(f"{kind.name} is read-only: the control plane writes it itself")
    return Planned(kind, name, kind.path_of(mesh, name), {**document, "type": kind.name})


def _mapping(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise KumaError(f"a resource must be a mapping, but this is {_described(document)}")
    return document


def _field(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if value is None or value == "":
        raise KumaError(f"{name.capitalize()} field cannot be empty")
    if not isinstance(value, str):
        raise KumaError(f"{name} must be text, but is {_described(value)}; put it in quotes")
    return value


def _described(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"the number {shown(value)}" if isinstance(value, int | float) else "text"


def _send(planned: Sequence[Planned], client: Client, say: Callable[[str], Any]) -> None:
    """Store each."""
    _each(planned, lambda resource: say(f"{client.put(resource.path, resource.value)} {resource}"), "applied")


def _try(planned: Sequence[Planned], client: Client, report: Report) -> None:
    """Ask what each would do by itself; nothing is stored."""

    def ask(resource: Planned) -> None:
        mesh = resource.value.get("mesh", "")
        answer = client.dry_run("PUT", resource.path, resource.value)
        report.add(resource.kind, mesh, resource.name, answer)

    try:
        _each(planned, ask, "tried")
    finally:
        report.end()


def _each(planned: Sequence[Planned], act: Callable[[Planned], None], done_to: str) -> None:
    """Act on each in order; what one fails at does not stop the next, unless the server is gone."""
    from kuma_core.kumactl.client import ApiError, Unreachable

    failed = 0
    for done, resource in enumerate(planned):
        try:
            act(resource)
        except ApiError as error:
            failed += 1
            tell(f"failed {resource}: {error}")
        except Unreachable as error:
            tell(f"failed {resource}: {error}")
            raise KumaError(_summary(failed + len(planned) - done, len(planned), done_to)) from None
    if failed:
        raise KumaError(_summary(failed, len(planned), done_to))


def _summary(failed: int, total: int, done_to: str) -> str:
    return f"{failed} of {total} resources could not be {done_to}"
