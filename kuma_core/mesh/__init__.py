"""A frozen, hashed view of one mesh: which proxies there are and who can reach which endpoints.

Pure values; nothing here reads a store or builds an Envoy message.
"""
