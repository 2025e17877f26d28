"""The `alarms` section of the stack file: the addresses to notify, and the thresholds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from infra.config_validation import NOT_GIVEN, ConfigReader

EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"
TOPIC_ARN = r"arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}"

ALARM_PLACES = ("source", "consumer", "target")
"""The places of alarms. An alarm and its topic are in the account and Region of its metric."""


@dataclass(frozen=True)
class Thresholds:
    """The values from which alarms fire. Whole numbers, in the unit that the name ends with."""

    replication_lag_seconds: int = 60
    """p99 of the time from a change to its application. 60: normally it is well under a second, and
    a burst that is applied within minutes needs no one's attention."""
    iterator_age_minutes: int = 60
    """Age of the records that the consumer receives; and, where the buffer is the table's own
    stream, the time for which changes may wait there, also during a pause. 60: far from any loss,
    and longer than a deployment or a burst takes."""
    retention_used_percent: int = 25
    """Share of the stream's retention that the oldest unapplied change has used; 24 hours where the
    buffer is the table's own stream. 25: three quarters are left to fix the cause."""
    ledger_used_percent: int = 25
    """Iterator age as a share of the ledger's retention. 25: if an entry expires while a change
    waits, that change may be applied over a newer one, so this must be early."""
    unreplicated_warning_hours: int = 1
    """Age of the oldest change that DynamoDB has not put into the stream. 1: normally it is
    milliseconds."""
    unreplicated_critical_hours: int = 24
    """The same, when it becomes urgent: at 168 hours DynamoDB switches the destination off."""
    throttled_puts_count: int = 0
    """Puts into the stream throttled in five minutes, three times in a row. 0: DynamoDB retries
    them, but lag grows."""
    stream_throttles_count: int = 0
    """The same as Kinesis counts it, for writes and for reads. 0: one reader and one writer should
    fit."""
    function_errors_count: int = 0
    """Failed invocations in five minutes, three times in a row. 0: Lambda retries a failed batch
    until it succeeds, so lasting errors stop a shard."""
    function_throttles_count: int = 0
    """Throttled invocations in five minutes, three times in a row. 0: the function's concurrency is
    needed for every shard."""
    duration_used_percent: int = 90
    """Share of the time-out that an invocation takes. 90: the consumer stops before the end by
    itself, so a full invocation lasts nearly as long as the time-out."""
    target_throttles_count: int = 10
    """Throttled writes in five minutes, three times in a row. 10: an on-demand table that grows
    throttles a few."""
    probe_age_minutes: int = 30
    """Time without a round of probes that the consumer processed. 30: a healthy round takes one
    turn of the watchdog, five minutes."""


_RANGES: Mapping[str, tuple[int, int, str]] = {
    "seconds": (1, 86_400, "seconds"),
    "minutes": (1, 10_080, "minutes"),
    "hours": (1, 167, "hours"),
    "percent": (1, 99, "percent"),
    "count": (0, 1_000_000, "events"),
}


@dataclass(frozen=True)
class AlarmConfig:
    """The recipients of alarms, and the thresholds. Without addresses and topics the stack still
    makes topics, for subscriptions that are made elsewhere."""

    emails: tuple[str, ...] = ()
    """Subscribed to the topics that the stack makes. Each has to be confirmed by its reader."""
    topics: Mapping[str, str] = field(default_factory=dict)
    """Your own topics instead, by place. None: the stack makes one in each place."""
    thresholds: Thresholds = field(default_factory=Thresholds)


def read(top: ConfigReader, regions: Mapping[str, str]) -> AlarmConfig:
    """Read and check the section. `regions`: the Region of each place."""
    section = top.section("alarms", "write alarms: {emails: [team@example.com]}", required=False)
    settings = AlarmConfig(
        emails=_emails(section),
        topics=_topics(section, regions),
        thresholds=_thresholds(section),
    )
    if settings.emails and settings.topics:
        section.mistakes.add(
            section.key("emails"),
            list(settings.emails),
            "nothing, beside topics of your own",
            "subscribe the addresses to those topics, or remove alarms.topics",
        )
    section.refuse_unknown_keys()
    return settings


def _emails(section: ConfigReader) -> tuple[str, ...]:
    fix = "write emails: [team@example.com]"
    given = section.sequence("emails", fix)
    for n, value in enumerate(given):
        if not (isinstance(value, str) and re.fullmatch(EMAIL, value)):
            section.mistakes.add(f"{section.key('emails')}[{n}]", value, "an e-mail address", fix)
    return tuple(str(value) for value in given)


def _topics(section: ConfigReader, regions: Mapping[str, str]) -> dict[str, str]:
    if section.raw("topics") is NOT_GIVEN:
        return {}
    topics = section.section("topics", "write topics: {source: ARN, consumer: ARN, target: ARN}")
    found = {}
    for place in ALARM_PLACES:
        region = regions[place]
        arn = topics.text(
            place,
            TOPIC_ARN.replace("([a-z0-9-]+)", re.escape(region) if region else "[a-z0-9-]+"),
            f"the ARN of an SNS topic in {region}, where these alarms live",
            f"use arn:aws:sns:{region}:ACCOUNT:NAME, or remove alarms.topics",
        )
        if arn:
            found[place] = arn
    topics.refuse_unknown_keys()
    return found


def _thresholds(section: ConfigReader) -> Thresholds:
    given = section.section(
        "thresholds", "write thresholds: {replicationLagSeconds: 60}", required=False
    )
    values = {}
    for each in fields(Thresholds):
        low, high, unit = _RANGES[each.name.rpartition("_")[2]]
        values[each.name] = given.whole_number(
            key_of(each.name), low, high, unit, default=int(getattr(Thresholds, each.name))
        )
    given.refuse_unknown_keys()
    thresholds = Thresholds(**values)
    if thresholds.unreplicated_warning_hours >= thresholds.unreplicated_critical_hours:
        given.mistakes.add(
            given.key("unreplicatedWarningHours"),
            thresholds.unreplicated_warning_hours,
            f"less than unreplicatedCriticalHours, {thresholds.unreplicated_critical_hours}",
            "lower it, or raise the other",
        )
    return thresholds


def key_of(name: str) -> str:
    """Return a field's key in the stack file: replicationLagSeconds of replication_lag_seconds."""
    first, *others = name.split("_")
    return first + "".join(part.title() for part in others)
