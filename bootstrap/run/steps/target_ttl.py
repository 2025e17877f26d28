"""The target's time to live: it follows the source's attribute of today, where it expires now.

While the target expires by another attribute, it deletes what the source keeps. AWS changes an
attribute in two calls, the old one off and the new one on, and takes one change in an hour.
"""

from __future__ import annotations

from bootstrap.core.errors import AccountError
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.run_options import TtlPolicy
from bootstrap.core.state import State
from bootstrap.journal.records import Configured, ExpiryMismatch
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext

SETTLES = 3_600.0
"""Seconds for which DynamoDB may delete more items once time to live is switched off (developer
guide, TTL: a change takes up to an hour)."""


def advance(context: StepContext) -> Outcome:
    """Switch the old attribute off, then the source's on. The consumer works meanwhile."""
    name, configured = context.table.target_table, context.journal.get(Configured)
    if configured is None or configured.ttl != TtlPolicy.NOW:
        return Done()
    source = context.source.expiry(context.table.source_table)
    wanted = source.attribute or "" if source.enabled else ""
    there = context.target.expiry(name)
    actual = there.attribute or "" if there.enabled else ""
    if actual == wanted:
        record_end(context, expires=bool(actual))
        return Done()
    if actual:
        record_begin(context)
    try:
        context.target.set_expiry(name, actual or wanted, not actual)
    except AccountError as error:
        if error.code != "ValidationException":
            raise
        return Pending(
            "AWS to take another change of the target's time to live (one an hour)",
            context.timing.poll(300),
            outlasts=True,
        )
    return Acted()


def record_begin(context: StepContext) -> None:
    """Record that the target deletes what the source keeps. No stream has those items again."""
    known = context.journal.get(ExpiryMismatch)
    if known is None or known.end:
        context.journal.put(
            ExpiryMismatch(), "the target expires items by another attribute than the source"
        )


def record_end(context: StepContext, *, expires: bool) -> None:
    """Record that it no longer does. `expires`: it expires items, as the source does."""
    known = context.journal.get(ExpiryMismatch)
    if known is None or known.end:
        return
    # From one attribute to the other it takes longer than that anyway.
    end = context.journal.now() + (0.0 if expires else SETTLES)
    context.journal.put(ExpiryMismatch(end), "the target expires items as the source does")


STEP = Step("target-expiry", State.CATCHING_UP, advance)
