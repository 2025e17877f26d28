"""The ledger's time to live: enabled again after a pause or an abandoned run."""

from __future__ import annotations

from bootstrap.core.errors import AccountError
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.state import State
from bootstrap.journal.records import Earlier, Paused
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps.pause import EXPIRY_ATTRIBUTE


def advance(context: StepContext) -> Outcome:
    """Enable the ledger's expiry, after the catch-up: a change that waits needs its key's entry."""
    journal = context.journal
    if journal.get(Paused) is None and journal.get(Earlier) is None:
        return Done()
    ledger = context.table.ledger_table
    if not context.target.expiry(ledger).enabled:
        try:
            context.target.set_expiry(ledger, EXPIRY_ATTRIBUTE, True)
        except AccountError as error:
            if error.code != "ValidationException":
                raise
            return Pending(
                "AWS to take another change of the ledger's time to live (one an hour)",
                context.timing.poll(300),
                outlasts=True,
            )
        return Acted()
    if journal.get(Paused) is not None:
        journal.forget(Paused, "the pause is over: ledger entries expire again")
    else:
        journal.forget(Earlier, "ledger entries expire again, those of an earlier run among them")
    return Acted()


STEP = Step("ledger-expiry", State.CATCHING_UP, advance)
