"""A bulk put that DynamoDB refuses to begin: what is reported, and another intention."""

from __future__ import annotations

import dataclasses

from bootstrap.core.errors import AccountError
from bootstrap.core.suggestions import Command, Suggestion, suggest
from bootstrap.journal.load_records import BulkLoad
from bootstrap.plan.replication import Replication, of_outputs
from bootstrap.run.step_context import StepContext
from infra.load_names import ACCELERATED, STANDARD

REFUSED = "ValidationException"
"""AWS's code for a request that it will not take, as it is."""


def report_refusal(context: StepContext, load: BulkLoad, error: AccountError) -> AccountError:
    """Prepare another intention, with the settings of then; return the error with the choices.

    The journaled request stays the same for a token, so without another one the settings of the
    stack file would not count until AWS has forgotten the token, in eight hours.
    """
    context.journal.put(
        dataclasses.replace(
            load,
            attempt=load.attempt + 1,
            token="",
            former=(*load.former, load.token),
            failure=error.what,
        ),
        "DynamoDB refused the bulk load that was intended",
    )
    settings, name = context.table.load, context.table.target_table
    limit = settings.max_write_request_units
    asked = f"performanceTier {settings.performance_tier}"
    asked += f", maxWriteRequestUnits {limit}" if limit is not None else ""
    return AccountError(
        error.side,
        f"DynamoDB refuses the bulk put into table {name} ({asked}). {error.what}",
        fix=_fix(of_outputs(context.outputs, context.table)),
        code=error.code,
    )


def _fix(replication: Replication) -> Suggestion:
    again = "which loads from the same export"
    if replication.load.performance_tier != ACCELERATED:
        return suggest("fix what DynamoDB names, then ", Command("run"), f", {again}")
    return suggest(
        "AWS does not document which Regions offer ACCELERATED: "
        f"{replication.configure('performanceTier', STANDARD)}, then: {replication.up}, then ",
        Command("run"),
        f", {again}",
    )
