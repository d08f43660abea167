"""From one proxy's view to its snapshot: every generator's drafts, in order, sealed."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.errors import KumaError
from kuma_core.xds.contract import Draft, Generator, ProxyView
from kuma_core.xds.memo import Memo
from kuma_core.xds.seal import Sealed
from kuma_core.xds.snapshot import Snapshot


class GenerationError(KumaError):
    """A generator failed for one proxy; the text names the generator and, if known, the resource."""


def assemble(view: ProxyView, generators: Iterable[Generator], memo: Memo) -> Snapshot:
    """Everything that the proxy should have.

    Of two drafts of one type and name, within a generator the first counts, between generators the later
    one's (data plane, 2.2). Raises ``GenerationError``; nothing of the proxy is then generated.
    """
    drafts: dict[tuple[str, str], tuple[str, Draft]] = {}
    for generator in generators:
        drafts.update(_drafts_of(generator, view))
    return Snapshot([_sealed(owner, draft, memo) for owner, draft in drafts.values()])


def _drafts_of(generator: Generator, view: ProxyView) -> dict[tuple[str, str], tuple[str, Draft]]:
    drafts: dict[tuple[str, str], tuple[str, Draft]] = {}
    try:
        for draft in generator.generate(view):
            drafts.setdefault((draft.type_url, draft.name), (generator.name, draft))
    except Exception as error:
        raise GenerationError(f'generator "{generator.name}": {type(error).__name__}: {error}') from error
    return drafts


def _sealed(owner: str, draft: Draft, memo: Memo) -> Sealed:
    try:
        return memo.seal(draft)
    except Exception as error:
        kind = draft.type_url.rpartition(".")[2]
        raise GenerationError(
            f'generator "{owner}": {kind} "{draft.name}": {type(error).__name__}: {error}'
        ) from error
