"""What goes wrong between the consumer and AWS, drawn call by call."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from tests.simulation.plan import Faults
from tests.simulation.scheduler import Scheduler, Task
from tests.support.fakes import errors
from tests.support.fakes.errors import Call, Killed

_LATENCIES = (0.0, 0.001, 0.004, 0.02, 0.02, 0.1, 1.5)
_THROTTLING = (errors.throttled, errors.throttling_exception, errors.request_limit_exceeded)
_BEFORE = (
    errors.server_error,
    errors.unavailable,
    lambda operation: errors.connect_timeout(),
    lambda operation: errors.connection_reset(),
)
_AFTER = (
    errors.server_error,
    lambda operation: errors.read_timeout(),
    lambda operation: errors.connection_reset(),
)
_CODES = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")


class Fate:
    """When an invocation dies: at its n-th AWS call, before or after the call's work."""

    def __init__(self, dies_at: int | None, after_the_work: bool) -> None:
        self.dies_at = dies_at
        self.after_the_work = after_the_work
        self.calls = 0


class Trouble(errors.Faults):
    """Pauses around each call's work, and fails some calls; each invocation has its `Fate`."""

    def __init__(
        self,
        rates: Faults,
        scheduler: Scheduler,
        chance: random.Random,
        log: Callable[[str], None],
    ) -> None:
        self.rates = rates
        self.scheduler = scheduler
        self.chance = chance
        self.log = log
        self.clients: dict[str, Any] = {}
        self.fates: dict[Task, Fate] = {}
        self.spared: set[Task] = set()
        self.trusted: set[Task] = set()
        """Of another role than the consumer's: its permissions stay."""
        self.left = rates.most
        self.kills = 0
        self._denied: dict[str, int] = {}

    def root(self) -> Task | None:
        task = self.scheduler.current
        while task is not None and task.parent is not None:
            task = task.parent
        return task

    def before(self, call: Call) -> None:
        task = self.root()
        if task is None or task in self.spared:
            return
        self.scheduler.pause(self.chance.choice(_LATENCIES))
        fate = self.fates.get(task)
        if fate is not None:
            fate.calls += 1
            if fate.calls == fate.dies_at and not fate.after_the_work:
                self._die(task, call, "before")
        self.log(f"  {task.name}: {call.operation}")
        if task not in self.trusted:
            self._deny(call)
        self._maybe(self.rates.throttled, call, self.chance.choice(_THROTTLING))
        self._maybe(self.rates.failed_before, call, self.chance.choice(_BEFORE))
        if self._happens(self.rates.late):
            self._execute_late(call)

    def after(self, call: Call) -> None:
        task = self.root()
        if task is None or task in self.spared:
            return
        fate = self.fates.get(task)
        if fate is not None and fate.calls == fate.dies_at and fate.after_the_work:
            self._die(task, call, "after")
        self.scheduler.pause(self.chance.choice(_LATENCIES))
        self._maybe(self.rates.failed_after, call, self.chance.choice(_AFTER))

    def reasons(self, call: Call) -> Mapping[int, str]:
        task = self.root()
        if task is None or task in self.spared or not self._happens(self.rates.cancelled):
            return {}
        actions = len(call.request["TransactItems"])
        count = self.chance.randint(1, min(3, actions))
        chosen = {
            index: self.chance.choice(_CODES) for index in self.chance.sample(range(actions), count)
        }
        if self.chance.random() < 0.3:  # the other actions were not looked at
            chosen = {**dict.fromkeys(range(actions), "None"), **chosen}
        self.log(f"    cancelled: {chosen}")
        return chosen

    def unprocessed(self, call: Call) -> Sequence[int]:
        if not self._happens(self.rates.unprocessed):
            return ()
        return self.chance.sample(range(100), 50)

    def stale(self, call: Call) -> bool:
        return self.chance.random() < self.rates.stale

    def _happens(self, rate: float) -> bool:
        if self.left <= 0 or rate == 0.0 or self.chance.random() >= rate:
            return False
        self.left -= 1
        return True

    def _maybe(self, rate: float, call: Call, make: Callable[[str], Exception]) -> None:
        if self._happens(rate):
            error = make(call.operation)
            self.log(f"    answered: {error}")
            raise error

    def _deny(self, call: Call) -> None:
        """Permissions, once gone, are gone for a while."""
        if not self._denied.get(call.operation) and self._happens(self.rates.denied):
            self._denied[call.operation] = self.chance.choice((2, 12, 40))
        if self._denied.get(call.operation):
            self._denied[call.operation] -= 1
            self.log("    denied")
            raise errors.access_denied(call.operation)

    def _execute_late(self, call: Call) -> None:
        """The caller sees a time-out, and the request is executed a little later all the same."""
        method = getattr(self.clients[call.service], _snake(call.operation))
        name = f"late {call.operation}"

        def work() -> None:
            try:
                method(**call.request)
                self.log(f"  {name}: done")
            except ClientError as error:
                self.log(f"  {name}: {error.response['Error']['Code']}")

        task = self.scheduler.spawn(name, work, delay=self.chance.choice((0.01, 0.5, 4.0)))
        self.spared.add(task)
        self.scheduler.pause(self.chance.choice((0.0, 2.0)))
        self.log("    timed out, still under way")
        raise errors.read_timeout()

    def _die(self, task: Task, call: Call, when: str) -> None:
        self.kills += 1
        self.log(f"  {task.name}: killed {when} {call.operation}")
        self.scheduler.kill(task)
        raise Killed


def _snake(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
