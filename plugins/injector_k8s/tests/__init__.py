"""Tests of kuma-injector-k8s."""
