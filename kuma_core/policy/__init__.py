"""Policies: which of them applies to a connection or a proxy, and why. Pure functions over frozen values.

What a policy does to Envoy lives in its plugin; nothing here knows a message of Envoy.
"""
