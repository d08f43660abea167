"""ProxyTemplate: raw Envoy resources of an operator, read and brought to Envoy's v3 API.

Which proxies get them is decided elsewhere. ``spec`` imports no Envoy type; ``convert`` and all below it do.
"""
