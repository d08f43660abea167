"""From one proxy's view to its snapshot: every generator's drafts, in order, sealed."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.errors import KumaError
from kuma_core.plugin.boundary import Abandoned, PluginBarred, PluginFailed, told
from kuma_core.xds.contract import Draft, Generator
from kuma_core.xds.memo import EditFailed, Memo, edit_failure, named, plugin_of
from kuma_core.xds.proxy_view import PolicyError, TrackedView
from kuma_core.xds.reserved import ReservedName
from kuma_core.xds.seal import Sealed
from kuma_core.xds.snapshot import Snapshot

Drafts = dict[tuple[str, str], Draft]
"""Everything that a proxy should have, by type URL and name."""


class GenerationError(KumaError):
    """A generator failed for one proxy; the text names the generator and, if known, the resource."""


def assemble(view: TrackedView, generators: Iterable[Generator], memo: Memo) -> Snapshot:
    """Everything that the proxy should have.

    Of two drafts of one type and name, within a generator the first counts, between generators the later
    one's. It leaves out a resource that is called ``*``, with a warning in the view: Envoy would refuse the others
    because of it. Raises ``GenerationError``; nothing of the proxy is then generated.
    """
    drafts: Drafts = {}
    owners: dict[tuple[str, str], str] = {}
    for generator in generators:
        found = _drafts_of(generator, view)
        owners |= dict.fromkeys(found, generator.name)
        drafts |= found
    _edit(drafts, view)
    sealed = [_sealed(owners.get(key, ""), draft, memo, view) for key, draft in drafts.items()]
    return Snapshot([item for item in sealed if item])


def _drafts_of(generator: Generator, view: TrackedView) -> Drafts:
    drafts: Drafts = {}
    try:
        for draft in generator.generate(view):
            drafts.setdefault((draft.type_url, draft.name), draft)
    except (PolicyError, PluginFailed) as error:
        raise GenerationError(str(error)) from error
    except Exception as error:
        raise GenerationError(f'generator "{generator.name}": {told(error)}') from error
    return drafts


def _edit(drafts: Drafts, view: TrackedView) -> None:
    """Let the policies of scope PROXY edit the whole map."""
    try:
        edits = view.proxy_edits()
    except PolicyError as error:
        raise GenerationError(str(error)) from error
    for edit in edits:
        try:
            edit.apply(drafts, edit.conf)
        except Exception as error:
            raise GenerationError(edit_failure(edit, error)) from error


def _sealed(owner: str, draft: Draft, memo: Memo, view: TrackedView) -> Sealed | None:
    kind = draft.type_url.rpartition(".")[2]
    who = plugin_of(draft.build) + (f'generator "{owner}"' if owner else "a policy")
    try:
        return memo.seal(draft)
    except ReservedName as error:
        view.warn(f'{who}: {kind} "{draft.name}" is left out: {error}')
        return None
    except Abandoned:
        raise
    except PluginBarred as error:  # of what nobody has built yet this proxy gets nothing
        view.warn(f'{who}: {kind} "{draft.name}" is left out: {error}')
        return None
    except (EditFailed, PluginFailed) as error:
        raise GenerationError(f'{kind} "{draft.name}": {error}') from error
    except BaseException as error:  # a hash, or a message, may be of a plugin's making
        edits = "".join(f"; edited by {named(edit)}" for edit in draft.edits)
        raise GenerationError(f'{who}: {kind} "{draft.name}": {told(error)}{edits}') from error
