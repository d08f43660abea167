"""The door for plugins that sign certificates; it loads ``cryptography``. No logic lives here."""

from kuma_core.ca.pki import BACKDATED, Issuer, Issuers, key_usage, load_issuer, sign_leaf

__all__ = [
    "BACKDATED",
    "Issuer",
    "Issuers",
    "key_usage",
    "load_issuer",
    "sign_leaf",
]
