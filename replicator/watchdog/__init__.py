"""The scheduled function that looks for lost changes, and what it judges by."""

from replicator.watchdog.watchdog import handler

__all__ = ["handler"]
