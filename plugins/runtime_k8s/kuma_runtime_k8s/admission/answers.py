"""What the API server is answered: the defaults of what somebody writes, and whether it keeps the rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from kuma_core.sdk import (
    InvalidResource,
    Kinds,
    KumaError,
    MalformedResource,
    Resource,
    ResourceKey,
    Resources,
    ResourceType,
    Scope,
    Severity,
    Views,
    Violation,
    parse_spec,
    to_document,
)
from kuma_runtime_k8s.admission import review
from kuma_runtime_k8s.admission.patches import patch
from kuma_runtime_k8s.admission.review import Question
from kuma_runtime_k8s.objects import GROUP, VERSION, Undecodable, content_of, key_of, part_of

_log = structlog.get_logger("admission")

WRITES = ("CREATE", "UPDATE")
MESH = "Mesh"

Answer = dict[str, Any]


class Admission:
    """Answers questions about the registered kinds. Safe for use from several threads; it stores nothing."""

    def __init__(self, kinds: Kinds, resources: Resources, views: Views) -> None:
        self._kinds = kinds
        self._resources, self._views = resources, views

    def default(self, asked: Question) -> Answer:
        """Allowed, with a patch of what the kind fills in; refused for what is no resource of it."""
        return self._answer(asked, self._default)

    def validate(self, asked: Question) -> Answer:
        """Allowed with warnings, or refused with every rule that is broken."""
        return self._answer(asked, self._validate)

    def _answer(self, asked: Question, what: Any) -> Answer:
        """What ``what`` answers; whatever it raises becomes a refusal with a sentence."""
        try:
            kind = self._kind(asked)
            if asked.operation not in WRITES or _is_going(asked.item):
                return review.allowed(asked.uid)
            answer: Answer = what(asked, kind)
        except Undecodable as error:
            return review.refused(asked.uid, 400, str(error))
        except MalformedResource as error:
            return review.malformed(asked, error.violations, str(error))
        except KumaError as error:
            return review.refused(asked.uid, 403, str(error))
        except Exception as error:  # noqa: BLE001 - a kind's own code may be asked, and an answer has to come
            _log.warning("a question of the API server has no answer", kind=asked.kind, problem=repr(error))
            return review.refused(asked.uid, 403, f"the control plane cannot examine it: {error}")
        return answer

    def _kind(self, asked: Question) -> ResourceType:
        known = asked.group == GROUP and asked.version == VERSION and asked.kind in self._kinds
        kind = self._kinds[asked.kind] if known else None
        if kind is None or not (kind.stored and kind.served):
            name = f"{asked.group}/{asked.version} {asked.kind}"
            raise Undecodable(f'no plugin of the control plane brings the kind "{name:.120}"')
        return kind

    def _default(self, asked: Question, kind: ResourceType) -> Answer:
        spec, _ = parse_spec(kind.spec, content_of(kind.name, asked.item))
        before, after = to_document(spec), to_document(spec.with_defaults())
        return review.allowed(asked.uid, patch=patch(asked.item, part_of(kind.name), before, after))

    def _validate(self, asked: Question, kind: ResourceType) -> Answer:
        key, content = key_of(kind, asked.item), content_of(kind.name, asked.item)
        misread = list(kind.spec.misread(content))
        errors = [violation for violation in misread if violation.severity is Severity.ERROR]
        spec, unknown = parse_spec(kind.spec, content)
        told = [f'unknown field "{path}" is ignored' for path in unknown]
        told += _told(violation for violation in misread if violation not in errors)
        try:
            if errors:
                raise InvalidResource(errors)
            _, warnings = self._resources.examine(Resource(key, spec), mesh_may_come=True)
        except MalformedResource:
            raise
        except InvalidResource as error:
            return review.invalid(asked, error.violations, str(error), told)
        return review.allowed(asked.uid, [*told, *_told(warnings), *self._about_mesh(kind, key)])

    def _about_mesh(self, kind: ResourceType, key: ResourceKey) -> list[str]:
        """Whoever applies a folder may write the mesh last; so one that is missing is only told."""
        if kind.scope is Scope.GLOBAL or self._views.mesh_spec(key.mesh):
            return []
        if self._resources.find(ResourceKey(MESH, key.mesh, key.mesh)):  # memory may be a moment behind
            return []
        return [f'mesh: there is no Mesh "{key.mesh}" yet; without it this has no effect']


def _is_going(item: Mapping[str, Any]) -> bool:
    """Whether an object is being deleted: then only its finalizers change, and no rule may stand in their way."""
    meta = item.get("metadata")
    return isinstance(meta, Mapping) and bool(meta.get("deletionTimestamp"))


def _told(violations: Any) -> list[str]:
    found: list[Violation] = list(violations)
    return [f"{violation.field}: {violation.message}" for violation in found]
