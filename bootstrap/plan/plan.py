"""The plan of a run: what it will do, and what blocks it. A value, made of an inspection alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bootstrap.core.formatting import number
from bootstrap.journal.records import Wanted
from bootstrap.plan.blocker import Blocker, refuse
from bootstrap.plan.buffer_choice import table_stream_notes
from bootstrap.plan.cross_account_check import NOT_TRIED
from bootstrap.plan.estimate import Estimate, estimate
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.key_policies import key_blockers, key_notes
from bootstrap.plan.notes import load_notes, notes
from bootstrap.plan.preflight import blockers, load_blockers
from bootstrap.plan.price_list import PriceList
from bootstrap.plan.replication import Replication
from bootstrap.plan.setting import Setting
from bootstrap.plan.settings_diff import settings, wanted

IMPORT, LOAD = "import", "load"
LIST_PRICES = PriceList()


@dataclass(frozen=True)
class Action:
    """One step of a run."""

    step: str
    what: str


@dataclass(frozen=True)
class Plan:
    """Everything between the inspected state and a replica."""

    table: str
    target_table: str
    blockers: tuple[Blocker, ...]
    actions: tuple[Action, ...]
    notes: tuple[str, ...]
    wanted: Wanted
    settings: tuple[Setting, ...]
    estimate: Estimate
    priced_by: str
    """Where the prices of the estimate come from."""

    @property
    def load_step(self) -> str:
        """The step that brings the items into the target: import or load."""
        return next(action.step for action in self.actions if action.step in (IMPORT, LOAD))

    @property
    def action_lines(self) -> list[str]:
        """The actions as the screen lists them."""
        width = max(10, *(len(action.step) for action in self.actions))
        return [
            f"  {n}. {action.step:{width}} {action.what}"
            for n, action in enumerate(self.actions, 1)
        ]

    def refuse_blocked(self) -> None:
        """Refuse to start a run that something blocks.

        Raises:
            BlockedError: naming every blocker with its fix.
        """
        refuse(
            self.blockers,
            f"Table {self.table} cannot be replicated yet",
            "apply each fix, then run again: nothing has been done yet",
        )


def make(
    inspection: Inspection,
    replication: Replication,
    prices: PriceList = LIST_PRICES,
    *,
    crossing: Sequence[Blocker] = (),
    tried: bool = True,
    stream_accepted: bool = False,
) -> Plan:
    """Make the plan for a table of which no export has begun.

    `crossing`: the calls across the accounts that were refused. `tried`: False where none was made.
    `stream_accepted`: what reads an adopted table's changes is confirmed.
    """
    has_source = inspection.source.table is not None
    wants = wanted(inspection, replication) if has_source else Wanted()
    expected = estimate(inspection, replication, prices.prices)
    return Plan(
        table=replication.source_table,
        target_table=replication.target_table,
        blockers=(
            *blockers(inspection, replication, expected, stream_accepted=stream_accepted),
            *key_blockers(inspection, replication),
            *crossing,
        ),
        actions=tuple(_actions(inspection, replication)),
        notes=(
            *notes(inspection, replication),
            *table_stream_notes(inspection, replication, expected),
            *key_notes(inspection, replication),
            *_verification_notes(expected),
            *(() if tried else (NOT_TRIED,)),
        ),
        wanted=wants,
        settings=settings(inspection, wants, load=replication.load) if has_source else (),
        estimate=expected,
        priced_by=prices.origin,
    )


def _verification_notes(expected: Estimate) -> tuple[str, ...]:
    advice = expected.verification.advice if expected.verification else ""
    return (f"{advice[0].upper()}{advice[1:]}.",) if advice else ()


def make_load(
    inspection: Inspection, replication: Replication, *, stream_accepted: bool = False
) -> Plan:
    """Make the plan again from the load on, for another way into the target than was planned.

    The export has begun, or is there. The source must exist.
    """
    made = make(inspection, replication, stream_accepted=stream_accepted)
    steps = [action.step for action in made.actions]
    load = load_blockers(inspection, replication, stream_accepted=stream_accepted)
    return replace(
        made,
        blockers=(*load, *key_blockers(inspection, replication)),
        actions=made.actions[steps.index(made.load_step) :],
        notes=tuple(load_notes(inspection, replication)),
    )


def _actions(inspection: Inspection, replication: Replication) -> list[Action]:
    backups, deployed = inspection.source.backups, replication.deployment
    recovery_off = backups is not None and not backups.enabled
    before = "switch point-in-time recovery on, then " if recovery_off else ""
    stream = f"stream {deployed.stream_name}" if deployed else "the stack's stream"
    consumer = f"the consumer {deployed.function_name}" if deployed else "the stack's consumer"
    deny = f"deny all writers but consumer and importer on {replication.target_table}"
    denies = replication.denies_other_writers and not replication.stack_owns_deny
    return [
        Action("buffer", _buffer(inspection, replication, stream)),
        Action("export", f"{before}export {replication.source_table} as of two minutes later"),
        *_load(replication),
        *([Action("target-deny", deny)] if denies else []),
        Action("settings", "store the floor; set the target table up as `plan` lists it"),
        Action("enable", f"switch {consumer} on"),
        Action("catch-up", "wait until everything in the stream has been applied"),
    ]


def _buffer(inspection: Inspection, replication: Replication, stream: str) -> str:
    if not replication.reads_table_stream:
        return f"wait until {stream} receives the changes"
    source = inspection.source.table
    on = source is not None and source.stream_view is not None
    first = "use" if on else "switch on"
    return (
        f"{first} {replication.stream_name}, let the consumer's role read it, and make the "
        "consumer's event source mapping, disabled"
    )


def _load(replication: Replication) -> list[Action]:
    name, load = replication.target_table, replication.load
    if not load.is_bulk:
        return [Action(IMPORT, f"import it into a new table {name}")]
    limit = (
        f", at most {number(load.max_write_request_units)} write units a second"
        if load.max_write_request_units
        else ""
    )
    put = f"put its items into it ({load.performance_tier}{limit}), and count them"
    first = (
        f"check that your table {name} is empty"
        if load.adopt
        else f"make the table {name}, with all indexes of the source"
    )
    return [Action(LOAD, f"{first}; {put}")]
