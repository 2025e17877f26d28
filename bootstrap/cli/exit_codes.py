"""The exit code of a command over several tables."""

from __future__ import annotations

from collections.abc import Sequence

import click

from bootstrap.core.errors import EXIT_STILL_RUNNING, BootstrapError


def report(errors: Sequence[BootstrapError]) -> int:
    """Print each table's error; return the worst exit code, 0 without errors."""
    for error in errors:
        click.echo(str(error), err=True)
    codes = [error.exit_code for error in errors]
    # A table that is still running is no failure, and must not hide another table's.
    failures = [code for code in codes if code != EXIT_STILL_RUNNING]
    return max(failures or codes, default=0)
