"""From one proxy's view to its snapshot: every generator's drafts, in order, sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kuma_core.errors import KumaError
from kuma_core.plugin.boundary import Abandoned, PluginBarred, PluginFailed, told
from kuma_core.xds.contract import Draft, Generator
from kuma_core.xds.memo import EditFailed, Memo, edit_failure, named, plugin_of
from kuma_core.xds.preparing import NotPrepared
from kuma_core.xds.proxy_view import PolicyError, TrackedView
from kuma_core.xds.reserved import ReservedName
from kuma_core.xds.seal import Sealed
from kuma_core.xds.snapshot import TYPES, Snapshot

Drafts = dict[tuple[str, str], Draft]
"""Everything that a proxy should have, by type URL and name."""


class GenerationError(KumaError):
    """A generator failed for one proxy; the text names the generator and, if known, the resource."""


Owners = dict[tuple[str, str], str]
"""By type URL and name: the generator, or the policy, that drafted it, as messages name it."""


def assemble(view: TrackedView, generators: Iterable[Generator], memo: Memo) -> Snapshot:
    """Everything that the proxy should have.

    It leaves out a resource that is called ``*``, with a warning in the view: Envoy would refuse the others
    because of it. Raises ``GenerationError``; nothing of the proxy is then generated.
    """
    drafts, owners = draft_all(view, generators)
    sealed = [sealed_draft(owners.get(key, ""), draft, memo, view.warn) for key, draft in drafts.items()]
    return Snapshot([item for item in sealed if item])


def draft_all(view: TrackedView, generators: Iterable[Generator]) -> tuple[Drafts, Owners]:
    """Everything that the proxy should have, not built yet, and who drafted it.

    Of two drafts of one type and name, within a generator the first counts, between generators the later
    one's. Equal drafts make equal resources. Raises ``GenerationError``, and ``NotPrepared`` if the view waits.
    """
    drafts: Drafts = {}
    owners: Owners = {}
    for generator in generators:
        found = _drafts_of(generator, view)
        owners |= dict.fromkeys(found, f'generator "{generator.name}"')
        drafts |= found
    _edit(drafts, owners, view)
    return drafts, owners


def _drafts_of(generator: Generator, view: TrackedView) -> Drafts:
    drafts: Drafts = {}
    try:
        for draft in generator.generate(view):
            drafts.setdefault((draft.type_url, draft.name), draft)
    except NotPrepared:
        raise
    except (PolicyError, PluginFailed) as error:
        raise GenerationError(str(error)) from error
    except Exception as error:
        raise GenerationError(f'generator "{generator.name}": {told(error)}') from error
    return drafts


def _edit(drafts: Drafts, owners: Owners, view: TrackedView) -> None:
    """Let the policies of scope PROXY edit the whole map; what they put into it is theirs."""
    try:
        edits = view.proxy_edits()
    except PolicyError as error:
        raise GenerationError(str(error)) from error
    for edit in edits:
        before = dict(drafts)
        try:
            edit.apply(drafts, edit.conf)
        except Exception as error:
            raise GenerationError(edit_failure(edit, error)) from error
        owners |= {key: named(edit) for key, draft in drafts.items() if before.get(key) is not draft}


def sealed_draft(owner: str, draft: Draft, memo: Memo, warn: Callable[[str], object]) -> Sealed | None:
    """The resource of a draft; ``None`` if its name is reserved or its type not served, which ``warn`` is told.

    Raises ``GenerationError``.
    """
    kind = draft.type_url.rpartition(".")[2]
    who = owner if owner.startswith("plugin ") else plugin_of(draft.build) + (owner or "a policy")
    if draft.type_url not in TYPES:
        warn(f'{who}: {kind} "{draft.name}" is left out: resources of this type are not sent to proxies')
        return None
    try:
        return memo.seal(draft, owner)
    except ReservedName as error:
        warn(f'{who}: {kind} "{draft.name}" is left out: {error}')
        return None
    except Abandoned:
        raise
    except PluginBarred as error:  # of what nobody has built yet this proxy gets nothing
        warn(f'{who}: {kind} "{draft.name}" is left out: {error}')
        return None
    except (EditFailed, PluginFailed) as error:
        raise GenerationError(f'{kind} "{draft.name}": {error}') from error
    except BaseException as error:  # a hash, or a message, may be of a plugin's making
        edits = "".join(f"; edited by {named(edit)}" for edit in draft.edits)
        raise GenerationError(f'{who}: {kind} "{draft.name}": {told(error)}{edits}') from error
