"""The commands beside `run` and `status`: parses, and calls. Nothing is decided here."""

from __future__ import annotations

from typing import Any

import click

from bootstrap import operations
from bootstrap.ending import ended
from bootstrap.invocation import chosen, common_options, gateways, guarded, process
from bootstrap.orders import Course, Orders

TAKE_OVER = click.option("--take-over", is_flag=True, help="Replace a run that is alive elsewhere.")
AS_LINES = click.option(
    "--json", "as_lines", is_flag=True, help="Progress as a JSON object per line."
)


def _drive(given: dict[str, Any], orders: Orders, take_over: bool, as_lines: bool) -> int:
    outputs, tables, command = chosen(given)
    this = process()
    errors = operations.run(
        outputs,
        tables,
        gateways(outputs, this, given),
        this,
        command,
        take_over=take_over,
        as_lines=as_lines,
        orders=orders,
    )
    return ended(errors)


@click.command()
@common_options
@TAKE_OVER
@AS_LINES
def pause(take_over: bool, as_lines: bool, debug: bool, **given: Any) -> None:
    """Switches the consumer off. Nothing is lost: what changes waits in the stream.

    The ledger keeps its entries from then on, whatever their age. `status` says how long the
    stream covers the pause.

    \b
    Example:
      python -m bootstrap pause --stack prod --table orders
    """
    guarded(
        lambda: _drive(given, Orders(course=Course.PAUSE), take_over, as_lines),
        debug,
        "The same command goes on from here.",
    )


@click.command()
@common_options
@TAKE_OVER
@AS_LINES
@click.option(
    "--no-wait", is_flag=True, help="Do not wait until what waited is applied: exit with 6."
)
def resume(take_over: bool, as_lines: bool, no_wait: bool, debug: bool, **given: Any) -> None:
    """Ends a pause: the consumer on, and waits until the replica has caught up.

    Ledger entries expire again only then.

    \b
    Example:
      python -m bootstrap resume --stack prod --table orders
    """
    orders = Orders(course=Course.RESUME, wait=not no_wait)
    guarded(
        lambda: _drive(given, orders, take_over, as_lines),
        debug,
        "The same command goes on from here.",
    )


COMMANDS = (pause, resume)
