"""The scheduled function that detects lost changes, and its detectors."""

from replicator.watchdog.watchdog import handler

__all__ = ["handler"]
