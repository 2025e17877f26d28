"""The rates of LOCAL_CHAOS."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class Chaos:
    """Rates between 0 and 1, of change records, invocations or calls. All zero: no chaos.

    duplicate: change records that enter the stream a second time, up to `delay_seconds` later.
    delay: change records that are late by up to `delay_seconds`, so that others overtake them.
    scatter: change records with a random partition key, and so on any shard.
    poison: change records that are followed by an unreadable one. More than a tenth of an
    invocation, or of ten minutes, is a systematic fault: the consumer then stops at that batch.
    overlap: batches that two invocations work on at once.
    redeliver: batches that are delivered again, up to `delay_seconds` after they succeeded.
    kill: invocations whose process ends before one of its first `kill_calls` AWS calls.
    throttle: DynamoDB calls of functions that fail with a transient error.
    lost: DynamoDB calls of functions that take effect and are answered with an error.
    lost_create: calls of any caller that create a table, an export, an import, a bulk operation, a
    streaming destination or a mapping, or change a table's stream, policy, recovery or time to
    live, take effect and are answered with an error. Each request loses one answer; its repetition
    gets AWS's own reply.
    stream_off: change records after which the table's DynamoDB stream is switched off, and on again
    up to `delay_seconds` later as a new one. What is written between is in neither.
    export_skew: how far a partition of an export may lie from ExportTime, in AWS's minutes.
    policy_spread: the seconds within which a table's changed resource policy binds one caller after
    the other. None: the 5 minutes that AWS may take, scaled.
    seed: of the random numbers; 0 for another one each time.
    """

    duplicate: float = 0.0
    delay: float = 0.0
    delay_seconds: float = 0.5
    scatter: float = 0.0
    poison: float = 0.0
    overlap: float = 0.0
    redeliver: float = 0.0
    kill: float = 0.0
    kill_calls: int = 6
    throttle: float = 0.0
    lost: float = 0.0
    lost_create: float = 0.0
    stream_off: float = 0.0
    export_skew: float = 0.0
    policy_spread: float | None = None
    seed: int = 0

    def random(self) -> random.Random:
        """Return a source of random numbers for one part of the emulator."""
        return random.Random(self.seed or None)


NO_CHAOS = Chaos()

ON = Chaos(
    duplicate=0.1,
    delay=0.2,
    scatter=0.3,
    overlap=0.1,
    redeliver=0.05,
    kill=0.05,
    throttle=0.05,
    lost=0.02,
    export_skew=1.0,
)

WHOLE = {"kill_calls", "seed"}
NOT_RATES = {"delay_seconds", "policy_spread", *WHOLE}


def parse(text: str) -> Chaos:
    """Read "on", "" or "off", a JSON object, or a list like "on,kill=0.2,delay=0".

    Raises ValueError, with a line that begins "Try: ", for an unknown name or a wrong value.
    """
    chaos = NO_CHAOS
    for name, value in _pairs(text.strip()):
        if name == "on" and value is None:
            chaos = ON
        elif name == "off" and value is None:
            chaos = NO_CHAOS
        else:
            change: dict[str, Any] = {name: _number(name, value)}
            chaos = replace(chaos, **change)
    if chaos.throttle + chaos.lost >= 1:
        raise _wrong("throttle and lost add up to 1 or more, so no call could ever succeed")
    return chaos


def _pairs(text: str) -> Iterable[tuple[str, Any]]:
    if text.startswith("{"):
        try:
            return list(json.loads(text).items())
        except ValueError as error:
            raise _wrong(f"it is not JSON: {error}") from None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [(part.partition("=")[0], part.partition("=")[2] or None) for part in parts]


def _number(name: str, value: Any) -> float | int:
    known = {field.name for field in fields(Chaos)}
    if name not in known:
        raise _wrong(f"there is no {name!r}, only {', '.join(sorted(known))}")
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise _wrong(f"{name} is {value!r}, not a number")
    if number < 0 or (name not in NOT_RATES and number > 1):
        raise _wrong(f"{name} is {value}, not a rate between 0 and 1")
    if name not in WHOLE:
        return number
    if not number.is_integer():
        raise _wrong(f"{name} is {value}, not a whole number")
    return int(number)


def _wrong(what: str) -> ValueError:
    # The text suits the environment variable and the demo's option.
    return ValueError(f"LOCAL_CHAOS or --chaos: {what}.\nTry: on,kill=0.1,delay_seconds=3")
