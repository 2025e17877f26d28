"""Commands that a switch or a promotion refuses: a table of commands and states.

The journal says the state. A command that takes no lease also looks into the consumer's settings
row, which a switch writes at another moment: the stricter of the two counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bootstrap.core.errors import BlockedError
from bootstrap.core.ledger_settings import LedgerSettings
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, Suggestion, suggest

STATUS, SWITCH, PROMOTE = "status", "switch", "promote"
CANCEL, FINISH = "--cancel", "--finish"
REDRIVE, DIRECT = "quarantine redrive", "quarantine redrive --direct"
PARK, UNPARK = "park", "unpark"
VERIFY, REPAIR, BACKFILL = "verify", "verify --repair", "backfill"


@dataclass(frozen=True)
class CommandRule:
    """A command in a state: it runs or is refused, and why."""

    runs: bool
    because: str
    """A clause, without a full stop."""
    fix: Suggestion | None = None
    """What to do instead; None: what is suggested to every command in this state."""


def _runs(because: str) -> CommandRule:
    return CommandRule(True, because)


def _refused(because: str, *instead: str | Command) -> CommandRule:
    return CommandRule(False, because, suggest(*instead) if instead else None)


_READS = _runs("it only reads")
_TRIES = _runs("it only reads, but for one object of its own in the snapshot bucket")
_BESIDE = "it writes to the target, while the switch proves that nothing more can arrive there"
_OLDER = "it would write the old source's items over newer ones of the primary"
_ONE_WAY = "the target has taken writes that the old source lacks, so no command leads back"

SWITCHING: Mapping[str, CommandRule] = {
    "plan": _TRIES,
    "parity": _READS,
    "run": _refused(
        "it would record a replica, while the source may be closed to writers; only the switch "
        "opens it again"
    ),
    STATUS: _READS,
    "pause": _refused("the switch waits until the consumer has applied what the source took"),
    "resume": _refused("only the switch turns the consumer on and off until it has ended"),
    "abandon": _refused("the source may be closed to writers, and only the switch opens it again"),
    "explain": _READS,
    "quarantine list": _READS,
    "quarantine show": _READS,
    REDRIVE: _refused("what it puts on the stream could enter it after the switch's last look"),
    DIRECT: _refused(_BESIDE),
    "quarantine discard": _runs("what to leave out is your decision, during a switch too"),
    PARK: _runs(
        "a record that kills the consumer would hold the switch up; in quarantine, it ends it"
    ),
    UNPARK: _runs("it takes back a park"),
    VERIFY: _refused(
        "the switch rests on the verification before it, and lets no other begin until it has ended"
    ),
    REPAIR: _refused(_BESIDE),
    BACKFILL: _refused(_BESIDE),
    SWITCH: _runs("it cancels an attempt whose process has died, and begins anew"),
    f"{SWITCH} {CANCEL}": _runs("it opens the source and leaves the target closed"),
    f"{SWITCH} {FINISH}": _refused("the switch has not been committed"),
    PROMOTE: _runs("it voids the attempt first"),
}

_FINISHED = (
    Command(SWITCH, FINISH),
    " 24 hours after the commit; then take the table out of the stack file, and pulumi up: the "
    "target table stays",
)
_SWITCHED_AND_PROMOTED: Mapping[str, CommandRule] = {
    "plan": _TRIES,
    "parity": _runs("it only reads; the target may differ by what the switch has set"),
    "run": _refused("the target is the primary, and follows the old source no more"),
    STATUS: _READS,
    "pause": _refused("the consumer is closed for good: there is nothing to pause"),
    "resume": _refused("the consumer would write the old source's items over newer ones"),
    "explain": _READS,
    "quarantine list": _READS,
    "quarantine show": _READS,
    REDRIVE: _refused(_OLDER),
    DIRECT: _refused(_OLDER),
    "quarantine discard": _runs("nothing else can resolve what is still in quarantine"),
    PARK: _refused("the consumer applies nothing more, so no record can hold it up"),
    UNPARK: _runs("it takes back a park"),
    VERIFY: _refused(
        "the target takes writes of its own, so it differs from the old source for good reason"
    ),
    REPAIR: _refused(_OLDER),
    BACKFILL: _refused(_OLDER),
}

SWITCHED: Mapping[str, CommandRule] = {
    **_SWITCHED_AND_PROMOTED,
    "abandon": _refused("it could delete the primary", *_FINISHED),
    SWITCH: _runs("it completes what is open after the commit"),
    f"{SWITCH} {CANCEL}": _refused(_ONE_WAY),
    f"{SWITCH} {FINISH}": _runs("24 hours after the commit, it stops the old source's stream"),
    PROMOTE: _refused(
        "the target is the primary already, and has every change of the source",
        Command(STATUS),
        ", which names the command that completes what is open after the commit",
    ),
}
PROMOTED: Mapping[str, CommandRule] = {
    **_SWITCHED_AND_PROMOTED,
    "abandon": _refused(
        "it could delete the primary",
        "take the table out of the stack file, and pulumi up once both accounts can be reached: "
        "the target table stays",
    ),
    PROMOTE: _runs("it completes what is open"),
    SWITCH: _refused("the target is the primary already"),
    f"{SWITCH} {CANCEL}": _refused(_ONE_WAY),
    f"{SWITCH} {FINISH}": _refused(
        "a promotion leaves the old source alone: it may still take writes",
        "take the table out of the stack file, and pulumi up once both accounts can be reached: "
        "the target table stays",
    ),
}

RULES: Mapping[State, Mapping[str, CommandRule]] = {
    State.SWITCHING: SWITCHING,
    State.SWITCHED: SWITCHED,
    State.PROMOTED: PROMOTED,
}
"""In every other state each command has conditions of its own."""

_INSTEAD: Mapping[State, Suggestion] = {
    State.SWITCHING: suggest(
        Command(STATUS),
        ", which shows whether a process works on the switch; if none does: ",
        Command(SWITCH, CANCEL),
        ", which opens the source and leaves the table a replica",
    ),
    State.SWITCHED: suggest(Command(STATUS), ", which shows what of the switch is open"),
    State.PROMOTED: suggest(Command(STATUS), ", which shows what of the promotion is open"),
}


def refuse_in(state: State, command: str, table: str) -> None:
    """Raise BlockedError if `command`, a name of the table above, is refused in this state.

    `table`: the source table's name.
    """
    rule = RULES.get(state, {}).get(command)
    if rule is None or rule.runs:
        return
    raise BlockedError(
        f"Table {table} is {state}, and `{command}` is refused: {rule.because}.",
        fix=rule.fix or _INSTEAD[state],
    )


def refuse_without_lease(state: State, settings: LedgerSettings, command: str, table: str) -> None:
    """Raise BlockedError if the journal's state or the consumer's settings row refuses a command.

    For commands that take no lease. A switch may begin beside them: it arms the consumer first.
    """
    refuse_in(state, command, table)
    if settings.primary is not None:
        refuse_in(State.SWITCHED, command, table)
    elif settings.closed is not None or settings.armed is not None:
        refuse_in(State.SWITCHING, command, table)
