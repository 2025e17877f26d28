"""The progress of a run, as its journal records it."""

from __future__ import annotations

from bootstrap.core.run_options import STOPS
from bootstrap.core.state import REPLICAS, State
from bootstrap.journal.journal import Journal
from bootstrap.journal.records import CaughtUp, Enabled, Exported, Imported, Paused
from bootstrap.run.step import Step
from bootstrap.run.steps import catch_up, enable, ledger_ttl, target_deny, target_ttl


def state_of(step: Step, journal: Journal) -> State:
    """Return the state of the table while this step is at work."""
    # A replica stays one while another round of probes measures it, or its Deny is put again.
    if journal.row.state in REPLICAS and step in (
        target_deny.STEP,
        catch_up.STEP,
        target_ttl.STEP,
        ledger_ttl.STEP,
    ):
        return journal.row.state
    if step == enable.STEP and journal.get(Paused) is not None:
        return State.CATCHING_UP
    if step == target_deny.STEP and journal.get(Enabled) is not None:
        return State.CATCHING_UP
    return step.state


def stops_before(state: State, until: State) -> bool:
    """Answer if a run that should stop at `until` stops before it enters `state`."""
    return until is not State.REPLICATING and (
        state in STOPS and STOPS.index(state) >= STOPS.index(until)
    )


def is_past(until: State, journal: Journal) -> bool:
    """Answer if the run is already further than `until`."""
    states = (journal.row.state, _reached(journal), STOPS[0])
    furthest = max(STOPS.index(state) for state in states if state in STOPS)
    return until is not State.REPLICATING and STOPS.index(until) < furthest


def _reached(journal: Journal) -> State:
    """Return the furthest state that the records prove, whatever the current one is."""
    exported, imported = journal.get(Exported), journal.get(Imported)
    if journal.get(CaughtUp) is not None:
        return State.REPLICATING
    if journal.get(Enabled) is not None:
        return State.CATCHING_UP
    if imported is not None and imported.done:
        return State.CONFIGURING
    if exported is not None and exported.done:
        return State.IMPORTING
    return State.EXPORTING if exported is not None and exported.begun else State.PLANNED
