"""The emulator's settings: the time scale, the chaos, the limits of streams, and the logs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.emulator.bulk_put.options import NO_BULK_OPTIONS, BulkOptions
from infra.local.emulator.bulk_put.options import parse as parse_bulk
from infra.local.emulator.chaos.rates import NO_CHAOS, Chaos, parse
from infra.local.emulator.table_streams.limits import AS_ON_AWS, StreamLimits
from infra.local.emulator.table_streams.limits import parse as parse_streams


@dataclass(frozen=True)
class EmulatorSettings:
    """Settings of one emulator process.

    `time_scale` multiplies AWS's own delays (1: as long as AWS takes; the demo uses 0.01).
    `chaos` is what LOCAL_CHAOS asks for; by default AWS has a good day.
    `bulk` is what LOCAL_BULK asks for: the time that bulk puts take, and what AWS is silent about.
    `recording` is the file that LOCAL_RECORDING names: who called what; None records nothing.
    `write_log` is the file that LOCAL_WRITE_LOG names: each write that took effect.
    `streams` are the limits of DynamoDB Streams, on this clock or as LOCAL_STREAMS says.
    """

    time_scale: float = 1.0
    chaos: Chaos = NO_CHAOS
    bulk: BulkOptions = NO_BULK_OPTIONS
    recording: Path | None = None
    write_log: Path | None = None
    streams: StreamLimits = AS_ON_AWS

    def scaled(self, seconds: float, floor: float = 0.0) -> float:
        """Return AWS's delay on this clock, never under `floor` (seconds)."""
        return max(floor, seconds * self.time_scale)

    def watched(self, seconds: float) -> float:
        """Return a schedule's or an alarm's interval: a minute is never under a second."""
        return max(seconds * self.time_scale, seconds / 60)

    @property
    def restorable_lag(self) -> float:
        """The age of LatestRestorableDateTime: "typically five minutes" on AWS."""
        return self.scaled(300)

    @property
    def export_seconds(self) -> float:
        """The time for which an export is IN_PROGRESS; AWS takes minutes."""
        return self.scaled(60, floor=0.2)

    @property
    def import_seconds(self) -> float:
        """The time until an import writes its first item."""
        return self.scaled(60, floor=0.2)

    @property
    def bulk_seconds(self) -> float:
        """The time that a bulk operation takes."""
        chosen = self.bulk.seconds
        return self.scaled(60, floor=0.2) if chosen is None else chosen

    @property
    def bulk_cancel_seconds(self) -> float:
        """The time for which a bulk operation is CANCELLING."""
        return self.scaled(10, floor=0.2)

    @property
    def job_start_seconds(self) -> float:
        """The time for which a run of a job on Glue is STARTING."""
        return self.scaled(60, floor=0.2)

    @property
    def index_seconds(self) -> float:
        """The time for which a global index that UpdateTable adds is CREATING."""
        return self.scaled(60, floor=0.3)

    @property
    def enabling_seconds(self) -> float:
        """The time for which a streaming destination is ENABLING, UPDATING or DISABLING.

        A DynamoDB stream is ENABLING or DISABLING as long, and its table UPDATING.
        """
        return self.scaled(60, floor=0.3)

    @property
    def mapping_seconds(self) -> float:
        """The time for which a mapping is Creating, Enabling, Disabling or Updating."""
        return self.scaled(30, floor=0.2)

    @property
    def metric_period(self) -> float:
        """The period of DynamoDB's own metrics: a minute on AWS."""
        return self.scaled(60, floor=1.0)

    @property
    def expiry_interval(self) -> float:
        """The interval of the sweep for expired items; AWS promises only "within a few days"."""
        return self.scaled(300, floor=2.0)

    @property
    def policy_seconds(self) -> float:
        """The longest time until a changed resource policy binds a caller (FIS user guide,
        fis-actions-reference: its fence of a global table "may continue for up to 5 minutes").
        """
        chosen = self.chaos.policy_spread
        return self.scaled(300) if chosen is None else chosen

    @property
    def policy_read_seconds(self) -> float:
        """The longest time until GetResourcePolicy shows a change: "a few seconds" on AWS."""
        return self.scaled(3)

    @property
    def policy_quiet_seconds(self) -> float:
        """The least time between two changes of a policy: 15 s (rbac-considerations.html)."""
        return self.scaled(15)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> EmulatorSettings:
        """Read the settings from the environment. Raises ValueError for what is wrong."""
        values = os.environ if environment is None else environment
        text = values.get("REPLICATION_TIME_SCALE") or "1"
        try:
            scale = float(text)
        except ValueError:
            scale = 0.0
        if not 0 < scale <= 1:
            raise ValueError(
                f"REPLICATION_TIME_SCALE is {text!r}: the local cloud runs between 0 and 1 times "
                "AWS's delays.\nTry: REPLICATION_TIME_SCALE=0.01"
            )
        recording, write_log = (values.get(f"LOCAL_{name}") for name in ("RECORDING", "WRITE_LOG"))
        return cls(
            time_scale=scale,
            chaos=parse(values.get("LOCAL_CHAOS", "")),
            bulk=parse_bulk(values.get("LOCAL_BULK", "")),
            recording=Path(recording) if recording else None,
            write_log=Path(write_log) if write_log else None,
            streams=parse_streams(values.get("LOCAL_STREAMS", ""), AS_ON_AWS.scaled(scale)),
        )
