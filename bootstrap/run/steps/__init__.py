"""The way from a plan to a replica, in the only order that loses nothing."""

from __future__ import annotations

from types import ModuleType

from bootstrap.run.steps import buffer, catch_up, enable, ledger_ttl, load, settings, snapshot

# Why each is where it is:
# - buffer before snapshot: what changes while the snapshot is taken is caught, or it is lost;
# - snapshot before load: there is nothing else to import;
# - load before enable: an import makes its table, and would overwrite what a consumer had applied;
# - settings before enable: the first change that the consumer meets is judged by the floor, and the
#   first mistake of a human by the deletion protection;
# - catch_up at the end: it is what turns a copy into a replica;
# - expiry after it, and only after a pause or an abandoned run: while changes wait, no ledger entry
#   may expire.
STEPS: tuple[ModuleType, ...] = (buffer, snapshot, load, settings, enable, catch_up, ledger_ttl)
