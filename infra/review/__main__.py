"""The needs of a stack file in two accounts, printed for those who have to allow them.

Each command reads it off what the program declares. None calls AWS, or needs credentials or the
Pulumi CLI.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from infra.policy_sizes import MANAGED_POLICY_LIMIT, characters
from infra.review import account_half, boundary, key_statements
from infra.review.boundary import SIDES
from infra.stack_config import StackConfig, plain_values

CONFIG = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The stack file, such as Pulumi.prod.yaml.",
)
SIDE = click.option("--side", type=click.Choice(SIDES), required=True, help="The account.")


@dataclass(frozen=True)
class StackFile:
    """A stack's name, and the plain values of its file."""

    stack: str
    values: Mapping[str, Any]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Print what a stack needs of its accounts, for those who have to allow it.

    It calls no AWS, and needs no credentials.
    """


@main.command()
@CONFIG
@SIDE
def half(config: Path, side: str) -> None:
    """Print what the stack makes in one account, with every policy."""
    file = _read(config)
    click.echo(account_half.account_half(file.values, side, stack=file.stack))


@main.command("boundary")
@CONFIG
@SIDE
def print_boundary(config: Path, side: str) -> None:
    """Print the permissions boundary that the roles of one account need."""
    file = _read(config)
    text = json.dumps(boundary.boundary(file.values, side, stack=file.stack), indent=1)
    click.echo(text)
    if characters(text) > MANAGED_POLICY_LIMIT:
        raise click.ClickException(
            f"This policy has {characters(text)} characters, and IAM allows {MANAGED_POLICY_LIMIT} "
            "in a managed one.\nTry: leave out options of the stack file that are not needed, or "
            "write wider actions for a service, such as kms:*"
        )


@main.command()
@CONFIG
def keys(config: Path) -> None:
    """Print the statements that the policies of your own keys need, by key."""
    file = _read(config)
    statements = key_statements.statements_by_key(file.values, stack=file.stack)
    click.echo(json.dumps(statements, indent=1))


def _read(config: Path) -> StackFile:
    """Read a stack file, and say what is unknown in it, on standard error."""
    try:
        StackConfig.read(config)
        values, secrets = plain_values(config)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{config}: {error}") from None
    unknown = sorted([*secrets.needed, *secrets.unknown])
    if unknown:
        click.echo(
            f"{config}: {', '.join(unknown)} are secrets. What depends on them is left out, or "
            "printed for a stand-in.",
            err=True,
        )
    return StackFile(config.name.removeprefix("Pulumi.").removesuffix(".yaml"), values)


if __name__ == "__main__":
    main(prog_name="python -m infra.review")
