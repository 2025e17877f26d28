"""The watchdog's configuration: its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from replicator import names
from replicator.buffers import BUFFERS, KINESIS, STREAMS
from replicator.settings import ConfigurationError
from replicator.watchdog.finding import Expected


@dataclass(frozen=True)
class WatchdogConfig:
    """The function's environment."""

    stack: str
    source_table: str
    source_account: str
    source_region: str
    """Also the function's own Region."""
    target_table: str
    target_region: str
    ledger_table: str
    quarantine_bucket: str
    on_failure_bucket: str
    consumer_function: str
    observer_role: str
    retention_hours: int
    stream_name: str = ""
    """Empty, like the next two, where the bootstrap makes stream and mapping: see `buffer`."""
    stream_arn: str = ""
    mapping_uuid: str = ""
    parallelization_factor: int = 1
    record_kib: int = 0
    adopted_stream: bool = False
    """The stream is others', and carries other tables' records, too."""
    buffer: str = KINESIS
    """With the table's own stream the settings row names stream and mapping."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> WatchdogConfig:
        """Raise ConfigurationError if something is missing, unknown or not a number."""
        buffer = environment.get("BUFFER", KINESIS)
        if buffer not in BUFFERS:
            raise _unusable(f"names an unknown BUFFER: {buffer!r}")
        try:
            config = cls(
                stack=environment["STACK"],
                source_table=environment["SOURCE_TABLE"],
                source_account=environment["SOURCE_ACCOUNT"],
                source_region=environment["SOURCE_REGION"],
                target_table=environment["TARGET_TABLE"],
                target_region=environment["TARGET_REGION"],
                ledger_table=environment["LEDGER_TABLE"],
                quarantine_bucket=environment["QUARANTINE_BUCKET"],
                on_failure_bucket=environment["ON_FAILURE_BUCKET"],
                consumer_function=environment["CONSUMER_FUNCTION"],
                observer_role=environment["OBSERVER_ROLE_ARN"],
                retention_hours=int(environment["RETENTION_HOURS"]),
                buffer=buffer,
            )
            if buffer == STREAMS:
                return config
            return replace(
                config,
                stream_name=environment["STREAM_NAME"],
                stream_arn=environment["STREAM_ARN"],
                mapping_uuid=environment["MAPPING_UUID"],
                parallelization_factor=int(environment["PARALLELIZATION_FACTOR"]),
                record_kib=int(environment["MAX_RECORD_KIB"]),
                adopted_stream=environment.get("ADOPTED_STREAM") == "true",
            )
        except (KeyError, ValueError) as error:
            raise _unusable(f"is missing something, or it is no number: {error}") from None

    @property
    def dimensions(self) -> dict[str, str]:
        """The dimensions of the gauges: the consumer's, also of what the watchdog emits."""
        return names.dimensions(
            self.stack, self.source_table, self.source_account, self.consumer_function
        )

    @property
    def expected(self) -> Expected:
        return Expected(
            self.stream_arn,
            self.retention_hours,
            self.record_kib,
            on_failure_bucket=self.on_failure_bucket,
            adopted_stream=self.adopted_stream,
            buffer=self.buffer,
        )


def _unusable(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The watchdog's environment {what}.\n"
        "Try: deploy the stack again; these variables are set by its watchdog component."
    )
