"""Tests of kuma-dp and kuma-tcp-echo, on loopback only."""
