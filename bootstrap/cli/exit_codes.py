"""How a command over several tables ends."""

from __future__ import annotations

from collections.abc import Sequence

import click

from bootstrap.core.errors import EXIT_STILL_RUNNING, BootstrapError


def ended(errors: Sequence[BootstrapError]) -> int:
    """Says what kept tables from getting there; returns the worst exit code."""
    for error in errors:
        click.echo(str(error), err=True)
    codes = [error.exit_code for error in errors]
    # That a table is still on its way is no failure, and must not hide another table's.
    failures = [code for code in codes if code != EXIT_STILL_RUNNING]
    return max(failures or codes, default=0)
