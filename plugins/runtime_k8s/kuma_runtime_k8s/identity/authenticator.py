"""Proxies prove who they are by the token of their Pod's ServiceAccount."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kuma_core.sdk import Claim, Proof, Proxy, Stop, StoreUnavailable, Unauthenticated
from kuma_runtime_k8s.contract import KubeApi, code_of
from kuma_runtime_k8s.controllers.annotations import metadata
from kuma_runtime_k8s.identity import claims
from kuma_runtime_k8s.identity.claims import Claims
from kuma_runtime_k8s.identity.reviews import FAILED, Account, Reviews
from kuma_runtime_k8s.pods import Place, Pods

NAME = "service-account-token"

NOT_VALID = f"{FAILED}token doesn't belong to a valid user"


class ServiceAccountTokens:
    """Recognises ServiceAccount tokens: first by what they say of themselves, then by a TokenReview."""

    def __init__(self, api: KubeApi, pods: Pods, audience: str = "") -> None:
        self._api, self._pods, self._audience = api, pods, audience
        self._reviews = Reviews(api, audience)

    def recognise(self, credential: str) -> Claim:
        """What a token is good for; as ``ProxyAuthenticator`` has it."""
        token = credential.strip()
        if not token:
            raise Unauthenticated(f"{FAILED}k8s token is missing")
        said = claims.read(token)
        if said is None:
            raise Unauthenticated(f"{NOT_VALID}: it is no token of a ServiceAccount")
        if said.expires and said.expires <= datetime.now(UTC):
            raise Unauthenticated(f"{NOT_VALID}: it has ended at {said.expires.isoformat()}")
        if self._audience and self._audience not in said.audiences:
            raise Unauthenticated(f'{FAILED}token is not meant for the audience "{self._audience}"')
        account = self._reviews.account(token)
        return AccountClaim(account, self._proof(account, said), self._require_pod)

    def watch(self, changed: Callable[[], None], stop: Stop) -> None:
        """A Pod that is gone takes its identity along."""

        def heard(place: Place | None) -> None:
            if place is None or self._pods.get(place) is None:
                changed()

        end = self._pods.on_change(heard)
        try:
            stop.wait()
        finally:
            end()

    def _proof(self, account: Account, said: Claims) -> Proof:
        """Its streams end with the token, and with the Pod that it is bound to."""

        def confirm() -> None:
            if account.uid and self._pods.is_settled:
                known = self._pods.uid((account.namespace, account.pod))
                if known != account.uid:
                    raise Unauthenticated(f'the Pod "{account.pod}" of this token is gone')

        who = f"{account.namespace}/{account.name}" + (f" in Pod {account.pod}" if account.pod else "")
        return Proof(f"service account {who}", said.expires, confirm)

    def _require_pod(self, account: Account) -> None:
        """The API server answers from a cache, also after a Pod is gone: we look ourselves. Raises Unauthenticated."""
        place = (account.namespace, account.pod)
        if self._pods.uid(place) == account.uid:
            return
        path = f"/api/v1/namespaces/{account.namespace}/pods/{account.pod}"
        try:  # a Pod of which we have not heard yet
            found = self._api.ask("GET", path)
        except StoreUnavailable as error:
            if code_of(error) != 404:
                raise
            found = {}
        if metadata(found).get("uid") != account.uid:
            raise Unauthenticated(f'{FAILED}the Pod "{account.pod}" of this token is gone')


@dataclass(frozen=True, slots=True)
class AccountClaim:
    """What a token that is good is good for: the proxies of its Pod, or of its namespace if no Pod binds it."""

    account: Account
    proof: Proof
    require_pod: Callable[[Account], None]

    def allows(self, proxy: Proxy, tags: Callable[[], Sequence[Mapping[str, str]]]) -> None:
        """Return if the proxy is that of the token's Pod; as ``Claim`` has it."""
        name, dot, namespace = proxy.name.rpartition(".")
        if not dot:
            raise Unauthenticated(f'{FAILED}name must include namespace after the dot, ex. "name.namespace"')
        if not namespace:
            raise Unauthenticated(f"{FAILED}namespace must be non-empty")
        if namespace != self.account.namespace:
            raise Unauthenticated(
                f'{FAILED}token belongs to a namespace ("{self.account.namespace}") different from '
                f'proxyId ("{namespace:.80}")'
            )
        if not self.account.pod:
            return
        if name != self.account.pod:
            raise Unauthenticated(
                f'{FAILED}token belongs to a Pod ("{self.account.pod}") different from proxyId ("{name:.253}")'
            )
        if self.account.uid:
            self.require_pod(self.account)
