"""The steps from a plan to a replica, in the only order that loses nothing."""

from __future__ import annotations

from bootstrap.run.step import Step
from bootstrap.run.steps import (
    buffer,
    catch_up,
    enable,
    ledger_ttl,
    load,
    settings,
    snapshot,
    target_deny,
    target_ttl,
)

# Why each is where it is:
# - buffer before snapshot: changes made while the snapshot is taken are in the stream, or lost;
# - snapshot before load: there is nothing else to load;
# - load before enable: an import makes its table, and a bulk put replaces whatever a consumer had
#   applied;
# - target_deny after load, since an import makes the table, and before enable: a writer that
#   reaches the replica between the two would be taken for the snapshot's, and a policy needs
#   minutes to spread. The table of a bulk load takes writes before it is loaded: there, load itself
#   leads to the Deny, before the look for an adopted table's items and before the first operation;
# - settings before enable: the floor decides on the first change that the consumer meets, and
#   deletion protection guards against the first human error;
# - catch_up after enable: it turns a copy into a replica;
# - target_ttl after catch_up: a change of its attribute takes hours, in which the consumer works;
# - ledger_ttl last, and only after a pause or an abandoned run: while changes wait, no ledger entry
#   may expire.
STEPS: tuple[Step, ...] = (
    buffer.STEP,
    snapshot.STEP,
    load.STEP,
    target_deny.STEP,
    settings.STEP,
    enable.STEP,
    catch_up.STEP,
    target_ttl.STEP,
    ledger_ttl.STEP,
)
