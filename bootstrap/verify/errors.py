"""What stops a verification. None of these is ever taken for "equal"."""

from __future__ import annotations

from bootstrap.core.errors import BlockedError, UsageError


class DamagedExportError(BlockedError):
    """An export is not what its manifest says: truncated, missing, altered or miscounted."""


class DuplicateKeyError(DamagedExportError):
    """An export holds two items of one key."""


class OtherSpoolError(UsageError):
    """The spool directory belongs to the comparison of other exports."""


class SpoolSpaceError(BlockedError):
    """The spool does not fit where it is to be."""
