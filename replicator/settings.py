"""The consumer's configuration: its environment, and the settings row of the ledger table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from replicator import aws, names
from replicator.aws import Failure
from replicator.buffers import BUFFERS, KINESIS
from replicator.call_context import CallContext
from replicator.runtime import Clock

SETTINGS_KEY = b"settings"
ARMED_SECONDS = 20.0
"""The time for the calls of one invocation, or of one batch of the operator's tool, while a switch
is under way: what is still in hand when the gate closes has ended before the switch continues."""


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
    source_account: str = ""
    """Twelve digits; with the next, dimensions of the metrics, which only the function emits."""
    function: str = ""
    """The function's own name."""
    quarantine_key: str = ""
    """The customer-managed key of the quarantine bucket; empty for S3's own."""
    adopted_stream: bool = False
    """The stream is others', and carries other tables' records, too: they are only counted."""
    buffer: str = KINESIS
    """What the events come from; a ledger of another buffer is refused."""

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
                source_account=environment["SOURCE_ACCOUNT"],
                # Set by Lambda (Developer Guide, "Defined runtime environment variables").
                function=environment["AWS_LAMBDA_FUNCTION_NAME"],
                quarantine_key=environment.get("QUARANTINE_KEY", ""),
                adopted_stream=environment.get("ADOPTED_STREAM") == "true",
                buffer=environment.get("BUFFER", KINESIS),
            )
        except (KeyError, ValueError) as error:
            raise _unusable(f"is missing or not a number: {error}") from None
        if config.ordering != "ledger":
            raise _unusable(f"names an unknown ORDERING: {config.ordering!r}")
        if config.buffer not in BUFFERS:
            raise _unusable(f"names an unknown BUFFER: {config.buffer!r}")
        if config.ledger_retention_days < 8:
            raise _unusable("keeps ledger entries for less than 8 days")
        return config

    @property
    def dimensions(self) -> dict[str, str]:
        """The dimensions of the function's metrics."""
        return names.dimensions(self.stack, self.source_table, self.source_account, self.function)


def _unusable(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The consumer's environment {what}.\n"
        "Try: deploy the stack again; these variables are set by its consumer component."
    )


@dataclass(frozen=True)
class ConsumerSettings:
    """The settings row. Times are in microseconds since 1970.

    `floor`: older changes are in the snapshot already. `parks`: `shard:sequence number` of records
    to quarantine undecoded, or the sequence number alone where the buffer is the table's stream.
    `expire`: ledger entries may carry an expiry. `buffer`: whose changes the ledger's entries are
    of; a row that says none is of a Kinesis data stream.

    The rest is a switch's. `armed`: the nonce of the attempt that is under way; invocations are
    short. `mark`: changes newer than it are late writes, applied and noted. `closed`: the nonce
    under which nothing may be written to the target any more.
    """

    floor: int | None = None
    parks: frozenset[str] = field(default_factory=frozenset)
    expire: bool = False
    armed: str | None = None
    mark: int | None = None
    closed: str | None = None
    buffer: str = KINESIS

    @property
    def attempt(self) -> str | None:
        """The nonce of the switch in whose steps this is; None outside one."""
        return self.closed or self.armed


def from_item(item: Mapping[str, Any]) -> ConsumerSettings:
    """Raise ValueError for an unreadable row: a guess could lose changes for good."""
    try:
        buffer = item["buffer"]["S"] if "buffer" in item else KINESIS
        if buffer not in BUFFERS:
            raise ValueError("settings row: an unknown buffer")
        return ConsumerSettings(
            floor=int(item["floor"]["N"]) if "floor" in item else None,
            parks=frozenset(item["parks"]["SS"]) if "parks" in item else frozenset(),
            expire=item["expire"]["BOOL"] is True if "expire" in item else False,
            armed=_nonce(item, "armed"),
            mark=int(item["mark"]["N"]) if "mark" in item else None,
            closed=_nonce(item, "closed"),
            buffer=buffer,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"settings row: {error}") from None


def _nonce(item: Mapping[str, Any], name: str) -> str | None:
    """Return a nonce's text. An empty one would read as a gate that is open."""
    if name not in item:
        return None
    nonce = item[name]["S"]
    if not nonce:
        raise ValueError(f"settings row: {name} is empty")
    return str(nonce)


class SettingsRow:
    """The row, read at most every 30 seconds, or each second during a switch.

    `dynamodb` needs boto3's method `get_item`.
    """

    CACHE_SECONDS = 30.0
    ARMED_CACHE_SECONDS = 1.0
    """While a switch is under way: both tables are closed until every lane has seen the gate."""

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

        Never return expired ones: a gate or a park must not be missed because a read failed.
        """
        if self._known is not None and self._age() < self._kept_for(self._known):
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

    def _kept_for(self, known: ConsumerSettings) -> float:
        return self.CACHE_SECONDS if known.armed is None else self.ARMED_CACHE_SECONDS

    def _times(self) -> tuple[float, float]:
        return self._clock.monotonic(), self._clock.now_micros() / 1_000_000

    def _age(self) -> float:
        """Return the greater age by two clocks.

        AWS does not document whether the monotonic clock runs while a container is frozen.
        """
        return max(now - then for now, then in zip(self._times(), self._read_at, strict=True))
