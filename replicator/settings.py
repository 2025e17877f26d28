"""The consumer's configuration: its environment, and the settings row of the ledger table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from replicator import aws
from replicator.aws import Failure
from replicator.call_context import CallContext
from replicator.runtime import Clock

SETTINGS_KEY = b"settings"


class ConfigurationError(Exception):
    """The function's environment is incomplete or out of range; the message says what to do."""


@dataclass(frozen=True)
class ConsumerConfig:
    """The function's environment."""

    stack: str
    source_table: str
    """Bare name, as change records carry it."""
    target_table: str
    target_region: str
    ledger_table: str
    quarantine_bucket: str
    ordering: str = "ledger"
    ledger_retention_days: int = 30
    """Days that an entry outlives the last change of its key. Never under 8: DynamoDB retries the
    delivery of a record for 168 hours, and a late one must still meet the entry."""
    quarantine_burst: int = 10
    """The most records to quarantine per invocation or per ten minutes. More than this, and more
    than a tenth of all, is a systematic fault: such records stay in the stream."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ConsumerConfig:
        """Raise ConfigurationError if something is missing or out of range."""
        try:
            config = cls(
                stack=environment["STACK"],
                source_table=environment["SOURCE_TABLE"],
                target_table=environment["TARGET_TABLE"],
                target_region=environment["TARGET_REGION"],
                ledger_table=environment["LEDGER_TABLE"],
                quarantine_bucket=environment["QUARANTINE_BUCKET"],
                ordering=environment.get("ORDERING", "ledger"),
                ledger_retention_days=int(environment.get("LEDGER_RETENTION_DAYS", "30")),
                quarantine_burst=int(environment.get("QUARANTINE_BURST", "10")),
            )
        except (KeyError, ValueError) as error:
            raise _unusable(f"is missing or not a number: {error}") from None
        if config.ordering != "ledger":
            raise _unusable(f"names an unknown ORDERING: {config.ordering!r}")
        if config.ledger_retention_days < 8:
            raise _unusable("keeps ledger entries for less than 8 days")
        return config


def _unusable(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The consumer's environment {what}.\n"
        "Try: deploy the stack again; these variables are set by its consumer component."
    )


@dataclass(frozen=True)
class ConsumerSettings:
    """The settings row. Times are in microseconds since 1970.

    `floor`: older changes are in the snapshot already. `fence`: newer changes stay in the stream.
    `parks`: `shard:sequence number` of records to quarantine undecoded. `expire`: ledger entries
    may carry an expiry.
    """

    floor: int | None = None
    fence: int | None = None
    parks: frozenset[str] = field(default_factory=frozenset)
    expire: bool = False


def from_item(item: Mapping[str, Any]) -> ConsumerSettings:
    """Raise ValueError for an unreadable row: a guess could lose changes for good."""
    try:
        return ConsumerSettings(
            floor=int(item["floor"]["N"]) if "floor" in item else None,
            fence=int(item["fence"]["N"]) if "fence" in item else None,
            parks=frozenset(item["parks"]["SS"]) if "parks" in item else frozenset(),
            expire=item["expire"]["BOOL"] is True if "expire" in item else False,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"settings row: {error}") from None


class SettingsRow:
    """The row, read at most every 30 seconds. `dynamodb` needs boto3's method `get_item`."""

    CACHE_SECONDS = 30.0

    def __init__(self, dynamodb: Any, ledger_table: str, clock: Clock) -> None:
        self._dynamodb = dynamodb
        self._clock = clock
        self._request = {
            "TableName": ledger_table,
            "Key": {"k": {"B": SETTINGS_KEY}},
            "ConsistentRead": True,
        }
        self._known: ConsumerSettings | None = None
        self._read_at = (0.0, 0.0)

    def read(self, context: CallContext) -> ConsumerSettings | None:
        """Return the settings, retrying until the deadline; None if they cannot be read.

        Never return expired ones: a fence or a park must not be missed because a read failed.
        """
        if self._known is not None and self._age() < self.CACHE_SECONDS:
            return self._known
        self._known = None
        failures = 0
        while context.deadline.allows_call():
            asked_at = self._times()
            answer = aws.call(self._dynamodb.get_item, self._request)
            if isinstance(answer, Failure):
                context.report_error("GetItem", answer.code, answer.loggable)
            else:
                try:
                    self._known = from_item(answer.get("Item", {}))
                except ValueError as error:
                    context.report_error("GetItem", "SettingsUnreadable", str(error))
                else:
                    self._read_at = asked_at
                    return self._known
            failures += 1
            if not context.deadline.wait(failures):
                break
        return None

    def _times(self) -> tuple[float, float]:
        return self._clock.monotonic(), self._clock.now_micros() / 1_000_000

    def _age(self) -> float:
        """Return the greater age by two clocks.

        AWS does not document whether the monotonic clock runs while a container is frozen.
        """
        return max(now - then for now, then in zip(self._times(), self._read_at, strict=True))
