"""The door for plugins that serve routes; it loads ``falcon``. No logic lives here."""

from kuma_core.api.errors import error_body
from kuma_core.api.exchange import answer_json, begin, read_body
from kuma_core.api.pages import KnownHosts, known_hosts
from kuma_core.api.rights import Visit, visit_of
from kuma_core.resources.codec import read_json

__all__ = [
    "KnownHosts",
    "Visit",
    "answer_json",
    "begin",
    "error_body",
    "known_hosts",
    "read_body",
    "read_json",
    "visit_of",
]
