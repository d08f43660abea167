"""From an operator's document to a stored record and back: specs, rules, the Store contract, the manager.

Nothing here knows about HTTP, Envoy or any particular store.
"""
