"""For the tests of plugins and of the kernel: suites to subclass, a platform in-process, a fake Envoy.

Shipped with the kernel, so that a plugin's tests need nothing else. Never imported by a running program.
"""
