"""What each path answers: the webhook, and whether the program lives and is ready."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import Any

from kuma_core.sdk import Config
from kuma_injector_k8s.injection.patch import patch
from kuma_injector_k8s.injection.pods import Undecodable, mesh_of, why_not
from kuma_injector_k8s.kube.meshes import Meshes, NoMesh
from kuma_injector_k8s.log import Log
from kuma_injector_k8s.serving import review
from kuma_injector_k8s.serving.review import Question
from kuma_injector_k8s.settings import NATIVE

INJECT = "/inject-sidecar"
HEALTHY, READY = "/healthy", "/ready"

Reply = tuple[int, bytes]


class App:
    """Answers requests, one after the other, in an event loop. Only a mesh that is not known is waited for."""

    def __init__(self, config: Config, meshes: Meshes, log: Log) -> None:
        self._config, self._meshes, self._log = config, meshes, log

    async def reply(self, method: str, path: str, body: bytes) -> Reply:
        """The HTTP code and the body of an answer."""
        if path in (HEALTHY, READY) and method in ("GET", "HEAD"):
            is_fine = path == HEALTHY or self._meshes.is_settled.is_set()
            return (200, b"") if is_fine else (503, b"meshes are not known yet\n")
        if path != INJECT:
            return 404, f"nothing is here; questions go to {INJECT}\n".encode()
        if method != "POST":
            return 405, b"use POST\n"
        try:
            asked = review.read(body)
            uid = review.uid_of(asked)
        except Undecodable as error:
            return 400, f"{error}\n".encode()
        return 200, json.dumps(await self._answer(uid, asked), separators=(",", ":")).encode()

    async def _answer(self, uid: str, asked: Mapping[str, Any]) -> review.Answer:
        try:
            question = review.question(asked)
            if not question.is_new_pod:
                return review.allowed(uid)
            if reason := why_not(question.pod):
                self._log.debug("a Pod is left as it is", **_named(question), reason=reason)
                return review.allowed(uid)
            return review.allowed(uid, await self._patch(question))
        except Undecodable as error:
            return review.refused(uid, 400, f"the Pod cannot be read: {error}")
        except NoMesh as error:
            self._log.info("a Pod is refused", **_named(question), reason=str(error))
            return review.refused(uid, 500, f"could not retrieve mesh for pod: {error}")
        except Exception as error:  # noqa: BLE001 - anybody may send anything, and an answer has to come
            self._log.warning("a question has no answer", problem=repr(error)[:500])
            return review.refused(uid, 500, f"the injector cannot make anything of this Pod: {error!r:.200}")

    async def _patch(self, question: Question) -> list[dict[str, Any]]:
        mesh = mesh_of(question.pod)
        spec = self._meshes.known(mesh)
        if spec is None:
            spec = await asyncio.to_thread(self._meshes.asked, mesh)
        self._log.debug("a Pod gets a sidecar", **_named(question), mesh=mesh)
        native, word = self._config.flag(NATIVE), secrets.token_hex(8)
        return patch(question.pod, mesh, spec, self._config, native, word)


def _named(question: Question) -> dict[str, str]:
    meta = question.pod.get("metadata") or {}
    name = meta.get("name") or meta.get("generateName") or "" if isinstance(meta, Mapping) else ""
    return {"namespace": question.namespace, "pod": str(name)}
