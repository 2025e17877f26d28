"""Stands between the bootstrap and AWS: keeps a list of calls, and does its deed at one of them."""

from __future__ import annotations

import functools
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from botocore.endpoint import Endpoint
from botocore.retries.standard import ExponentialBackoff

from bootstrap.aws.journal_table import AwsJournal
from bootstrap.cutover.promotion import promote
from bootstrap.cutover.promotion.items import ITEMS, PromotionItem
from bootstrap.cutover.switch import before_commit, switch
from bootstrap.cutover.switch.loop import SwitchLoop
from bootstrap.cutover.switch.stages import Stage
from bootstrap.journal import lease
from bootstrap.run import runner
from bootstrap.run.step import Step
from bootstrap.run.steps import STEPS, abandon, pause
from tests.crash.aws_refusals import BUSY, answer, refusal
from tests.crash.crash_points import Case, Deed, Moment

START = "start"
"""Taking the lease, looking at both accounts, beginning or resuming."""
JOURNAL = "journal"
"""What a look at the steps notes, whichever step is at work."""
LEASE = "lease"
"""Renewing it, before whichever call or in whichever wait that falls."""
END = "end"
"""The last look, and giving the lease back."""
SWITCH, COMMIT, AFTER, CANCEL = "switch", "commit", "after-commit", "cancel"
"""Parts of a switch, beside its stages: its checks, its commit, what follows it; or its end."""
PROMOTION = {
    "_acquire": START,
    "_begin": "record",
    "_close_gate": "close-gate",
    "_await_gate": "await-gate",
    "_mark_primary": "primary",
    "_note": "note",
    "_count_held_back": END,
}
"""The step of each act of a promotion, beside its items."""
RENEW_AFTER = 1.0
"""Seconds. A run is over here before the fifteen have passed after which it renews its lease."""
RESOURCE = "arn:aws:test:::something"
"""What a denied call is said to be about."""
ALWAYS = (Deed.THROTTLE, Deed.LOST, Deed.FAIL)


@dataclass
class Call:
    """A call under way."""

    moment: Moment
    attempt: int = 0
    role: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the list: before a request is sent, and after the deed."""

    step: str
    operation: str
    nth: int
    attempt: int
    deed: str = ""
    role: str = ""
    """The ARN of the role that is asked for, if this is a call of sts:AssumeRole."""


def read(path: Path) -> list[Line]:
    """The list so far; a line in the making is left out."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [Line(**json.loads(line)) for line in lines]


def _text(body: str | bytes) -> str:
    return body if isinstance(body, str) else body.decode()


class Hooks:
    """Of one process. `case` None only lists."""

    def __init__(self, path: Path, case: Case | None) -> None:
        # One write a line, which outlives a SIGKILL.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._case = case
        self._steps = [JOURNAL]
        self._counts: Counter[tuple[str, str]] = Counter()
        self._calls: list[Call] = []

    def install(self) -> None:
        """Takes the place of botocore's sending, and of what marks the steps."""
        for step in (*STEPS, pause.STEP, abandon.STEP):
            self._mark_step(step)
        self._mark(runner.TableRunner, "start", START)
        self._mark(AwsJournal, "renew", LEASE)
        lease.RENEW_AFTER = RENEW_AFTER
        self._mark_switch()
        self._mark_promotion()
        self._mark(runner.TableRunner, "stop", END)
        self._mark(runner.TableRunner, "snapshot", END)
        send, attempt = Endpoint._send_request, Endpoint._do_get_response
        hooks = self

        def sending(self: Endpoint, request_dict: Any, operation_model: Any) -> Any:
            with hooks._call(operation_model):
                return send(self, request_dict, operation_model)

        def attempting(self: Endpoint, request: Any, operation_model: Any, context: Any) -> Any:
            return hooks._attempt(
                lambda: attempt(self, request, operation_model, context), request, operation_model
            )

        Endpoint._send_request, Endpoint._do_get_response = sending, attempting
        # Six attempts take half a minute of waiting otherwise, which proves nothing.
        ExponentialBackoff.delay_amount = lambda self, context: 0.01

    # -- which step is at work -------------------------------------------------------------------

    def _mark_step(self, step: Step | PromotionItem) -> None:
        advance = step.advance

        def marked(context: Any) -> Any:
            with self._in(step.name):
                return advance(context)

        object.__setattr__(step, "advance", marked)

    def _mark_switch(self) -> None:
        """The stages of a switch, its cancellation, and the work after its commit."""
        work = before_commit._work

        def marked(loop: SwitchLoop, stage: Stage) -> None:
            with self._in(str(stage.step)):
                work(loop, stage)

        before_commit._work = marked
        self._mark(before_commit, "refuse_unready", SWITCH)
        self._mark(before_commit, "_commit", COMMIT)
        self._mark(switch.Switch, "_cancel", CANCEL)
        self._mark(switch, "work_after_the_commit", AFTER)

    def _mark_promotion(self) -> None:
        """The acts of a promotion, and its items by their own names."""
        for item in ITEMS:
            self._mark_step(item)
        for name, step in PROMOTION.items():
            self._mark(promote.Promotion, name, step)

    def _mark(self, owner: Any, name: str, step: str) -> None:
        method = getattr(owner, name)

        @functools.wraps(method)
        def marked(*args: Any, **kwargs: Any) -> Any:
            with self._in(step):
                return method(*args, **kwargs)

        setattr(owner, name, marked)

    @contextmanager
    def _in(self, step: str) -> Iterator[None]:
        self._steps.append(step)
        try:
            yield
        finally:
            self._steps.pop()

    # -- calls -----------------------------------------------------------------------------------

    @contextmanager
    def _call(self, model: Any) -> Iterator[None]:
        key = (self._steps[-1], f"{model.service_model.service_name}:{model.name}")
        self._counts[key] += 1
        self._calls.append(Call(Moment(*key, self._counts[key])))
        try:
            yield
        finally:
            self._calls.pop()

    def _attempt(self, send: Callable[[], Any], request: Any, model: Any) -> Any:
        call = self._calls[-1]
        call.attempt += 1
        if model.name == "AssumeRole":
            call.role = parse_qs(_text(request.body))["RoleArn"][0]
        self._note(call)
        case = self._case
        if case is None or case.moment != call.moment:
            return send()
        return self._do(case.deed, call, send, request, model)

    def _do(self, deed: Deed, call: Call, send: Callable[[], Any], request: Any, model: Any) -> Any:
        if deed is Deed.KILL_BEFORE:
            self._note(call, deed)
            os.kill(os.getpid(), signal.SIGKILL)
        again = call.attempt > 1
        if again and deed is Deed.LOST_ONCE and call.moment.operation in BUSY:
            return answer(BUSY[call.moment.operation], request.url), None
        if again and deed not in ALWAYS:
            return send()
        sent = None
        if deed in (Deed.KILL_AFTER, Deed.LOST, Deed.LOST_ONCE, Deed.FREEZE):
            sent = send()
        self._note(call, deed)
        if deed is Deed.KILL_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        if deed is Deed.FREEZE:
            os.kill(os.getpid(), signal.SIGSTOP)
            return sent
        service = model.service_model.service_name
        return answer(refusal(deed, service, model.name, RESOURCE), request.url), None

    def _note(self, call: Call, deed: str = "") -> None:
        line = Line(
            call.moment.step,
            call.moment.operation,
            call.moment.nth,
            call.attempt,
            str(deed),
            call.role,
        )
        os.write(self._file, json.dumps(asdict(line)).encode() + b"\n")
