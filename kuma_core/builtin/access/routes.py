"""``GET /whoami`` and ``GET /can-i``: about whoever asks, and nobody else."""

from __future__ import annotations

from collections.abc import Iterable

import falcon

from kuma_core.api.exchange import answer_json, begin
from kuma_core.api.rights import visit_of
from kuma_core.auth.contract import Asked, Decision, Right, User, Verb
from kuma_core.documents import shown
from kuma_core.errors import InvalidResource, Violation
from kuma_core.kinds import Kinds
from kuma_core.model import ResourceType, Scope
from kuma_core.policy.contract import Policy
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.tags import TagPairs, sorted_tags

VERBS = {verb.value: verb for verb in (*Verb,) if verb not in (Verb.READ, Verb.ADMIN)}
MOST_TAGS = 100


class WhoAmI:
    """Who the control plane takes the caller for, and by what."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """``{"name", "groups", "by", "credential", "rights"}``; 401 for a token that is good for nothing."""
        begin(req, "Could not tell who you are")
        visit = visit_of(req)
        user = visit.user
        rights = [
            right.value
            for right in Right
            if visit.decide(right, Asked(user, Verb.READ if right is Right.READER else Verb.ADMIN)).allowed
        ]
        answer_json(
            resp,
            {
                "name": user.name,
                "groups": sorted(user.groups),
                "by": user.by,
                **({"credential": user.id} if user.id else {}),
                "rights": rights,
            },
        )


class CanI:
    """Whether the caller may do something with resources of a kind, and what says so."""

    def __init__(self, kinds: Kinds, policies: Iterable[Policy]) -> None:
        self._kinds = {kind.name: kind for kind in kinds if kind.served}
        self._with_tags = {DATAPLANE, *(policy.kind for policy in policies)}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """``{"allowed", "why", "ways"}``, for ``verb``, ``kind``, and ``mesh``, ``name``, ``tag=key=value``.

        400 with everything that is wrong about the question.
        """
        begin(req, "Could not tell whether you may")
        visit = visit_of(req)
        asked = self._asked(req, visit.user)
        decision = self._decision_of_kernel(asked) or visit.decide(
            Right.READER if asked.verb in (Verb.GET, Verb.LIST) else Right.ADMIN, asked
        )
        answer_json(resp, {"allowed": decision.allowed, "why": decision.why, "ways": list(decision.ways)})

    def _decision_of_kernel(self, asked: Asked) -> Decision | None:
        """What nobody may, whoever asks."""
        if asked.verb not in (Verb.GET, Verb.LIST) and self._kinds[asked.kind].read_only:
            return Decision(False, f"{asked.kind} is written by the control plane alone")
        return None

    def _asked(self, req: falcon.Request, user: User) -> Asked:
        problems: list[Violation] = []
        verb, kind = self._verb(req, problems), self._kind(req, problems)
        tags = _tags(req, problems)
        if kind and tags and kind.name not in self._with_tags:
            problems.append(Violation("tag", f"{kind.name} has no tags"))
        if kind and verb is Verb.GENERATE_TOKEN and kind.name != DATAPLANE:
            problems.append(Violation("kind", f"tokens are generated for a {DATAPLANE}"))
        if problems or verb is None or kind is None:
            raise InvalidResource(problems, details="The request is not valid")
        mesh = "" if kind.scope is Scope.GLOBAL else req.get_param("mesh") or ""
        name = "" if verb is Verb.LIST else req.get_param("name") or ""
        return Asked(user, verb, kind.name, mesh, name, (tags,) if tags else ())

    def _verb(self, req: falcon.Request, problems: list[Violation]) -> Verb | None:
        given = req.get_param("verb") or ""
        if given not in VERBS:
            problems.append(Violation("verb", f"expected one of {', '.join(VERBS)}, got {shown(given)}"))
        return VERBS.get(given)

    def _kind(self, req: falcon.Request, problems: list[Violation]) -> ResourceType | None:
        given = req.get_param("kind") or ""
        if given not in self._kinds:
            known = ", ".join(self._kinds)
            problems.append(Violation("kind", f"expected one of {known}, got {shown(given)}"))
        return self._kinds.get(given)


def _tags(req: falcon.Request, problems: list[Violation]) -> TagPairs:
    """The tags of one inbound."""
    given = req.get_param_as_list("tag") or []
    found: dict[str, str] = {}
    if len(given) > MOST_TAGS:
        problems.append(Violation("tag", f"is given more than {MOST_TAGS} times"))
        return ()
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            problems.append(Violation("tag", f"expected key=value, got {shown(text)}"))
        elif key in found:
            problems.append(Violation("tag", f"{shown(key)} is given twice; an inbound has it once"))
        found[key] = value
    return sorted_tags(found)
