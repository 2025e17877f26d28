"""The command line. It parses and calls; nothing is decided here."""

from __future__ import annotations

import click

from bootstrap.cli import (
    abandon,
    backfill,
    explain,
    park,
    pause,
    plan,
    promote,
    quarantine,
    run,
    status,
    switch,
    verify,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Replicate DynamoDB tables into another AWS account.

    `plan` shows what would be done, `run` does it, and `status` shows the next command at any
    time.

    Exit codes: 0 done, 1 blocked, 2 usage, 3 fix the source account, 4 fix the target account,
    5 differences found, 6 still running, 7 switch cancelled, 8 switched but --exec failed,
    70 a bug.
    """


for _command in (
    *plan.COMMANDS,
    *run.COMMANDS,
    *status.COMMANDS,
    *pause.COMMANDS,
    *abandon.COMMANDS,
    *explain.COMMANDS,
    *quarantine.COMMANDS,
    *park.COMMANDS,
    *verify.COMMANDS,
    *backfill.COMMANDS,
    *switch.COMMANDS,
    *promote.COMMANDS,
):
    main.add_command(_command)
