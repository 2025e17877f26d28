"""Differences between the settings that the target has and those that it is to have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.core.facts import ON_DEMAND, Capacity, CapacityUnits
from bootstrap.cutover.settings import PrimarySettings


@dataclass(frozen=True)
class SettingChange:
    """One change of the target's settings."""

    setting: str
    """The member of the JSON."""
    now: str
    wanted: str
    call: str
    """AWS's name of the API call."""
    after_commit: bool
    back: str
    """The way back: before the commit it harms nothing, so no cancel takes it back."""

    @property
    def what(self) -> str:
        return f"set the target's {self.setting}: {self.wanted} (now: {self.now})"


def setting_changes(
    there: PrimarySettings, wanted: PrimarySettings | None
) -> tuple[SettingChange, ...]:
    """List what the switch changes. None wanted: nothing."""
    return () if wanted is None else (*_slow(there, wanted), *_after(there, wanted))


def _slow(there: PrimarySettings, wanted: PrimarySettings) -> Iterator[SettingChange]:
    stays = "it stays, as it harms no replica; undo it by hand"
    if wanted.deletion_protection and not there.deletion_protection:
        yield SettingChange("deletionProtection", "off", "on", "UpdateTable", False, stays)
    if wanted.point_in_time_recovery and not there.point_in_time_recovery:
        call = "UpdateContinuousBackups"
        yield SettingChange("pointInTimeRecovery", "off", "on", call, False, stays)
    missing = {key: value for key, value in wanted.tags.items() if there.tags.get(key) != value}
    if missing:
        now = {key: there.tags[key] for key in missing if key in there.tags}
        yield SettingChange("tags", _tags(now), _tags(missing), "TagResource", False, stays)
    if wanted.table_class != there.table_class:
        yield SettingChange(
            "tableClass", there.table_class, wanted.table_class, "UpdateTable", False, stays
        )
    if wanted.stream is not None and there.stream is None:
        yield SettingChange("stream", "off", wanted.stream, "UpdateTable", False, stays)


def _after(there: PrimarySettings, wanted: PrimarySettings) -> Iterator[SettingChange]:
    by_hand = "by hand, with the same call"
    if there.capacity != wanted.capacity:
        yield SettingChange(
            "billing",
            capacity_text(there.capacity),
            capacity_text(wanted.capacity),
            "UpdateTable",
            True,
            by_hand,
        )
    if there.ttl != wanted.ttl:
        yield SettingChange(
            "ttl",
            there.ttl or "off",
            wanted.ttl or "off",
            "UpdateTimeToLive",
            True,
            f"{by_hand}: AWS takes one such change in an hour",
        )


def capacity_text(capacity: Capacity) -> str:
    """Render a capacity: the table's, and each index's."""
    mode = "on demand" if capacity.billing_mode == ON_DEMAND else "provisioned"
    indexes = [
        f"{name} {_units(units, capacity.billing_mode)}"
        for name, units in sorted(capacity.indexes.items())
    ]
    return ", ".join([f"{mode}, {_units(capacity.table, capacity.billing_mode)}", *indexes])


def _units(units: CapacityUnits, mode: str) -> str:
    if mode != ON_DEMAND:
        return f"{units.reads} reads and {units.writes} writes a second"
    if units.reads is None and units.writes is None:
        return "no maximum"
    known = [(units.reads, "reads"), (units.writes, "writes")]
    return "at most " + " and ".join(f"{n} {what}" for n, what in known if n is not None)


def _tags(tags: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "none"
