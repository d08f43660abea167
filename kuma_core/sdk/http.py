"""The door for plugins that serve routes; it loads ``falcon``. No logic lives here."""

from kuma_core.api.exchange import answer_json, begin, read_body
from kuma_core.resources.codec import read_json

__all__ = [
    "answer_json",
    "begin",
    "read_body",
    "read_json",
]
