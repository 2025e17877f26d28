"""An import that made no table: what is reported, and the ways to load the same export."""

from __future__ import annotations

import dataclasses
import re

from bootstrap.core.errors import AccountError, UnavailableError
from bootstrap.core.suggestions import Command, Suggestion, suggest
from bootstrap.journal.records import Imported
from bootstrap.plan.import_load import by_bulk
from bootstrap.plan.replication import of_outputs
from bootstrap.run.step_context import StepContext

LIMIT, INVALID = "LimitExceededException", "ValidationException"
REFUSED = (LIMIT, INVALID)
"""AWS's codes for a request that begins no import. `LimitExceeded` is documented for too many
imports at once, which passes. Which code an export over the quotas of size and of objects gets is
not documented."""
_OF_SIZE = re.compile(r"\b(size|[KMGT]?B|bytes?|objects?|files?|too large)\b", re.IGNORECASE)
_OF_NUMBER = re.compile(r"concurren|simultaneous|in progress|at once|at a time", re.IGNORECASE)


def report_refusal(context: StepContext, imported: Imported, error: AccountError) -> AccountError:
    """Record that DynamoDB began no import; return the error with the choices.

    The token stays: a repeated request is the same, and finds its import if AWS did begin one. What
    may pass is an `UnavailableError`, which is retried for a while.
    """
    context.journal.put(
        dataclasses.replace(imported, no_table=error.what), "DynamoDB refused the import"
    )
    what = (
        f"DynamoDB refuses the import into table {context.table.target_table}, and has made no "
        f"table. {error.what}"
    )
    if error.code == LIMIT and not _is_of_size(error):
        return UnavailableError(
            error.side,
            what,
            fix=suggest(
                "wait until other imports of the account have ended, then ",
                Command("run"),
                *by_bulk_instead(context, "; or, where the export is over a quota of imports: "),
            ),
            code=error.code,
        )
    return AccountError(error.side, what, fix=_fix(context), code=error.code)


def by_bulk_instead(context: StepContext, before: str) -> tuple[str | Command, ...]:
    """Return the commands by which a bulk put loads the export that an import did not."""
    commands = by_bulk(of_outputs(context.outputs, context.table))
    return f"{before}{commands}; then ", Command("run"), ", which loads the same export"


def _fix(context: StepContext) -> Suggestion:
    return suggest(
        "where the export is over a quota of imports, which a bulk put does not have: ",
        *by_bulk_instead(context, ""),
        "; or fix the cause that it names, then ",
        Command("run"),
    )


def _is_of_size(error: AccountError) -> bool:
    """Answer if AWS's own words name a size. They are not documented: the errors offer both."""
    said = error.what.partition(f"{error.code}: ")[2]
    return bool(_OF_SIZE.search(said)) and not _OF_NUMBER.search(said)
