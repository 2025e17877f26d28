"""What people do meanwhile: redrive quarantined records, park what kills, switch the table."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from bootstrap.core.errors import BootstrapError
from bootstrap.core.state import State
from bootstrap.quarantine.redrive import RedriveOutcome, redrive
from tests.simulation.aws_faults import Fate
from tests.simulation.history import DAY, SECOND, SourceChange
from tests.simulation.names import (
    LEDGER_TABLE,
    QUARANTINE_BUCKET,
    SETTINGS_KEY,
    TARGET_TABLE,
)
from tests.simulation.redrive import redrive_context
from tests.simulation.switch_attempt import SimulatedSwitch
from tests.simulation.world import World

OPEN = "open/"
ARMED_FOR = 150.0
"""Seconds from `armed` to `closed`: an invocation's time limit, and the life of known settings."""
CLOSED_FOR = 60.0
"""Seconds from `closed` until the gate counts as closed: the life of known settings, an armed
invocation's time, and ten more."""


class Operator:
    """The people of `World.run`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.changes: Mapping[bytes, SourceChange] = world.parts
        self.scheduler = world.scheduler
        self.chance = world.chance
        self.stopped = False
        self.switch = SimulatedSwitch(world) if world.plan.switch is not None else None

    def start(self) -> None:
        plan = self.world.plan
        if plan.redrive:
            self.world.start(self._redrive_sometimes, "redrive")
        if plan.lethal:
            self._background(self._park_what_kills, "park")
        if plan.gate:
            self._background(self._close_the_gate, "gate")
        if self.switch is not None:
            self.world.start(self.switch.play, "switch")
        if plan.expiry != "none":
            self._background(self._sweep, "expiry")
        if plan.expiry == "replicating":
            self._background(self._replicating, "replicating")

    def _background(self, work: Any, name: str) -> None:
        self.world.trouble.spared.add(self.scheduler.spawn(name, work))

    def stop(self) -> None:
        self.stopped = True
        if self.switch is not None:
            self.switch.check_end()

    # Quarantine -----------------------------------------------------------------------------

    def _objects(self) -> dict[str, dict[str, Any]]:
        bucket = self.world.s3.buckets[QUARANTINE_BUCKET]
        return {
            key: json.loads(stored.body) for key, stored in bucket.items() if key.startswith(OPEN)
        }

    def open_changes(self) -> list[SourceChange]:
        """The changes that the target would not take, and that still wait for someone."""
        return [
            change
            for body in self._objects().values()
            if body["reason"] != "ambiguous-order"
            and (change := self.changes.get(base64.b64decode(body["data"]))) is not None
        ]

    def _redrive_sometimes(self) -> None:
        pauses = [0.5, 3.0, 30.0, 600.0, 3600.0]
        if self.world.plan.expiry != "none":
            pauses += [0.5 * 86_400, 3 * 86_400, 12 * 86_400]
        for _ in range(self.chance.randint(1, 5)):
            self.scheduler.pause(self.chance.choice(pauses))
            if self.world.plan.heal and self.chance.random() < 0.3:
                self._mend_target()
            self._redrive(0.9)

    def mend(self) -> None:
        """The target takes everything from now on, and what waited is sent again."""
        self._mend_target()
        if self.world.plan.redrive or self.switch is not None:
            self.world.start(lambda: self._redrive(1.0), "redrive")

    def _mend_target(self) -> None:
        self.world.dynamodb.tables[TARGET_TABLE].indexes.clear()
        self.world.log("the target is repaired")

    def _redrive(self, share: float) -> None:
        """The operator's command, which may be killed half-way, and run again."""
        if self._reading_stands_still():
            return
        command = self.scheduler.spawn("redrive", lambda: self._command(share), watched=True)
        dies = self.chance.random() < self.world.plan.kill
        after = self.chance.random() < 0.5
        self.world.trouble.fates[command] = Fate(
            self.chance.randint(1, 12) if dies else None, after
        )
        self.scheduler.join([command])
        if command.error is not None and not command.killed:
            raise command.error

    def _command(self, share: float) -> None:
        direct = self.chance.random() < 0.3 or self.world.plan.reads_table_stream
        outcome = RedriveOutcome()
        state = self.switch.state if self.switch is not None else lambda: State.REPLICATING
        working = redrive_context(self.world, self.world.place, state)
        try:
            chosen = [kept for kept in working.store.open_objects() if self.chance.random() < share]
            redrive(working, chosen, outcome, direct=direct, named=self.chance.random() < 0.5)
        except BootstrapError as error:
            self.world.log(f"  redrive: {error}")
        self.world.direct += len(outcome.ended)

    def _reading_stands_still(self) -> bool:
        """A record that is put on the stream now might wait there for longer than alarms allow."""
        now = self.world.clock.now_micros()
        lanes = self.world.lanes()
        return any(lane.closed_from - DAY < now < lane.closed_from for lane in lanes) or all(
            lane.closed_from <= now < lane.closed_until for lane in lanes
        )

    # Settings -------------------------------------------------------------------------------

    def _park_what_kills(self) -> None:
        while not self.stopped:
            self.scheduler.pause(45.0)
            for lane in self.world.lanes():
                record = lane.records[lane.position] if lane.position < len(lane.records) else None
                if record is not None and record.lethal and lane.attempts > 2:
                    self.world.dynamodb.update_item(
                        TableName=LEDGER_TABLE,
                        Key=SETTINGS_KEY,
                        UpdateExpression="ADD parks :place",
                        ExpressionAttributeValues={":place": {"SS": [record.place]}},
                    )
                    self.world.service.parked_at.setdefault(record.place, self.world.clock())
                    self.world.log(f"parked {record.place}")

    def _close_the_gate(self) -> None:
        """Close the gate by the clock, in the midst of changes, and take it back."""
        change = self.chance.choice(self.world.history.changes).made
        wait = (change - self.world.clock.now_micros()) / SECOND - ARMED_FOR - CLOSED_FOR
        self.scheduler.pause(max(0.0, wait))
        mark = {"N": str(self.world.clock.now_micros())}
        self._set("SET armed = :nonce, mark = :mark", {":nonce": {"S": "n-1"}, ":mark": mark})
        self.scheduler.pause(ARMED_FOR)
        self.world.witness.closing = True
        self._set("SET closed = :nonce", {":nonce": {"S": "n-1"}})
        self.scheduler.pause(CLOSED_FOR)
        self.world.witness.gate_closed = True
        self.world.witness.gates += 1
        self.world.log("the gate is closed")
        self.scheduler.pause(self.chance.choice((1.0, 60.0, 600.0)))
        self.world.witness.gate_closed = False
        self._set("REMOVE armed, mark, closed")
        self.world.log("the gate is open again")
        self.scheduler.pause(ARMED_FOR)
        self.world.witness.closing = False

    def _set(self, expression: str, values: Mapping[str, Any] | None = None) -> None:
        named = {"ExpressionAttributeValues": values} if values else {}
        self.world.dynamodb.update_item(
            TableName=LEDGER_TABLE, Key=SETTINGS_KEY, UpdateExpression=expression, **named
        )

    def _replicating(self) -> None:
        """The bootstrap is through: from now on entries may expire."""
        self.scheduler.pause(self.chance.choice((3600.0, 86_400.0)))
        self.world.dynamodb.update_item(
            TableName=LEDGER_TABLE,
            Key=SETTINGS_KEY,
            UpdateExpression="SET expire = :yes",
            ExpressionAttributeValues={":yes": {"BOOL": True}},
        )

    def _sweep(self) -> None:
        """Expired entries go within hours here; AWS may take days, which only makes it easier."""
        while not self.stopped:
            self.scheduler.pause(self.chance.choice((3, 6, 20)) * 3600.0)
            gone = self.world.dynamodb.expire()
            if gone:
                self.world.log(f"{gone} ledger entries expired")
