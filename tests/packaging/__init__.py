"""Tests of what lies in ``packaging``: units of systemd, images, examples of configuration."""
