"""Durations that the bootstrap waits for or adds, and the scale of the local cloud's clock."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bootstrap.core.errors import UsageError

EXPORT_FUZZ = 60.0
"""Seconds by which what an export holds may be off its time: "can vary by one minute" (developer
guide, S3DataExport.HowItWorks.html)."""
INVOCATION_SECONDS = 120.0
"""The time limit of the consumer's function."""
SCALE_VARIABLE = "REPLICATION_TIME_SCALE"
ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"


@dataclass(frozen=True)
class Timing:
    """AWS's delays in seconds, on the clock of the cloud in use."""

    scale: float = 1.0
    """1 on AWS. The local cloud is faster: 0.01 makes five minutes three seconds."""

    @property
    def export_margin(self) -> float:
        """From the observation that the buffer is ACTIVE to ExportTime. Two minutes: AWS says that
        the boundary of an export "can vary by one minute" (developer guide, "Requesting a table
        export").
        """
        return 120 * self.scale

    @property
    def watch_gap(self) -> float:
        """The longest time between two observations of the buffer: a longer gap starts the watch
        anew. Five minutes: many polls, and enabling a destination again takes minutes as well.
        """
        return max(30.0, 300 * self.scale)

    @property
    def floor_margin(self) -> float:
        """From ExportTime back to the floor below which changes count as being in the snapshot."""
        return 300 * self.scale

    @property
    def export_fuzz(self) -> float:
        """Seconds by which what an export holds may be off its time."""
        return EXPORT_FUZZ * self.scale

    @property
    def metric_period(self) -> int:
        """DynamoDB reports to CloudWatch once a minute."""
        return max(1, round(60 * self.scale))

    @property
    def metric_settling(self) -> float:
        """The time after which a missing datapoint of a period is proof that there is none."""
        return 3.0 * self.metric_period

    @property
    def last_invocation(self) -> float:
        """The longest time that an invocation of the consumer may run on after its mapping was
        disabled: the function's time limit.
        """
        return INVOCATION_SECONDS * self.scale

    @property
    def policy_reading(self) -> float:
        """The time after which a read of a resource policy shows the last change.

        AWS says that GetResourcePolicy is eventually consistent, and to try again after some
        seconds (Amazon DynamoDB API Reference).
        """
        return max(1.0, 30 * self.scale)

    @property
    def gate_settling(self) -> float:
        """From the closing of the consumer's gate until no invocation may still write.

        One that began with the settings of before, which it keeps for 30 s, has 20 s.
        """
        return 60 * self.scale

    @property
    def gate_after_arming(self) -> float:
        """The same from the moment at which invocations were made short, where no fence was
        waited for: an invocation's time limit of before, and the 30 s that settings are kept.
        """
        return 150 * self.scale

    @property
    def listing(self) -> float:
        """The time after which an operation that ListImports does not show was never begun.

        AWS states none; two minutes are many times what listings of a control plane lag behind.
        """
        return max(30.0, 120 * self.scale)

    @property
    def round_expiry(self) -> float:
        """The age at which a round of probes is replaced: it proves only the past."""
        return max(60.0, 600 * self.scale)

    @property
    def stream_settling(self) -> float:
        """From a moment until every change that was made before it is in the table's own stream.

        "DynamoDB Streams writes stream records in near-real time" (developer guide, Streams.html):
        no number is given; they come within seconds.
        """
        return 30 * self.scale

    @property
    def policy_spread(self) -> float:
        """The time for a table's new resource policy to reach every caller. AWS says "up to 5
        minutes" of its own action of this kind (AWS Fault Injection Service, "AWS FIS actions
        reference"); this is twice that.
        """
        return 600 * self.scale

    @property
    def write_settling(self) -> float:
        """From a table's closing to the mark: requests that were admitted before it have ended by
        then.
        """
        return 60 * self.scale

    @property
    def patience(self) -> float:
        """The time for which an account may be unavailable without a break before the run fails."""
        return max(30.0, 900 * self.scale)

    @property
    def line_interval(self) -> float:
        """The time between two equal progress lines."""
        return max(5.0, 60 * self.scale)

    def poll(self, seconds: float) -> float:
        """Scale the time between two polls."""
        return max(0.2, seconds * self.scale)


def timing_from(environment: Mapping[str, str]) -> Timing:
    """Read the time scale.

    Raises:
        UsageError: for a value that is no number, and for any but 1 unless the endpoint is this
            machine: on AWS a shrunk margin would put ExportTime before the buffer was active, and
            changes would be lost silently.
    """
    text = environment.get(SCALE_VARIABLE) or "1"
    try:
        scale = float(text)
    except ValueError:
        scale = -1.0
    if not 0 < scale <= 1:
        raise UsageError(
            f"{SCALE_VARIABLE} is {text!r}, which is no number above 0 and up to 1.",
            fix=f"unset {SCALE_VARIABLE}",
        )
    if scale != 1 and not is_loopback(environment.get(ENDPOINT_VARIABLE)):
        raise UsageError(
            f"{SCALE_VARIABLE} is {text}, and {ENDPOINT_VARIABLE} is not an address of this "
            "machine. "
            "On AWS a margin shrunk by it would lose changes.",
            fix=f"unset {SCALE_VARIABLE}, or set {ENDPOINT_VARIABLE} to the local cloud's address",
        )
    return Timing(scale)


def is_loopback(endpoint: str | None) -> bool:
    """Tell whether a URL can only lead to this machine."""
    host = urlsplit(endpoint or "").hostname
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
