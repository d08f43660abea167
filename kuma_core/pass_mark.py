"""The mark by which rules of redirection know what Envoy lets pass: the one thing that both sides must agree on.

A connection that was redirected, and for whose address Envoy has no listener, goes on to that address. Where it is one
of the machine's own, it leaves Envoy through ``lo``, as does a call of a service to itself, and that one has to be
redirected: it may be for an inbound that asks for a certificate. Rules cannot tell the two by their addresses.
Redirected again, the first would come back to Envoy for ever.

So Envoy gives what it lets pass a number of hops of its own. Every user may set it, IPv4 and IPv6 have it, each kind of
rule can match it, and it means nothing through ``lo``; outside it is as good as any other number above 64.
"""

from __future__ import annotations

PASSED_ON_HOPS = 157
"""The TTL (IPv6: hop limit) of what Envoy lets pass: the default of no system (64, 128 and 255 are in use)."""
