"""The customer-managed keys of a replication as their accounts describe them. Reads only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bootstrap.core.errors import BootstrapError
from bootstrap.core.facts import KeyFacts, TableFacts
from bootstrap.core.ports import SourceAccount, TargetAccount
from bootstrap.plan.replication import Replication

NO_SUCH_KEY = "NotFoundException"
"""Of kms:DescribeKey (API reference)."""


Look = Callable[[SourceAccount | TargetAccount, str], KeyFacts | None]


@dataclass(frozen=True)
class KeyInspection:
    """The customer-managed keys that the stack names. None: no such key."""

    source: KeyFacts | None = None
    source_is_aws_managed: bool | None = None
    """Whether AWS manages the source's key; None if that is unknown."""
    target: KeyFacts | None = None
    snapshot: KeyFacts | None = None
    stream: KeyFacts | None = None
    """One that the stack file names; the stack's own is its own affair."""
    place_source: KeyFacts | None = None
    """Of the source's place, as the next two of theirs."""
    place_consumer: KeyFacts | None = None
    place_target: KeyFacts | None = None
    unjudged: tuple[str, ...] = ()
    """ARNs of those that the operator's own credentials may not describe, before there are roles.
    """


def is_unread(key: KeyFacts) -> bool:
    """Tell whether nothing is known of a key, not even that there is none."""
    return key.refused not in ("", NO_SUCH_KEY)


def inspect_keys(
    source: SourceAccount,
    target: TargetAccount,
    replication: Replication,
    facts: TableFacts | None,
) -> KeyInspection:
    """Read the keys that a load needs. `facts`: of the source table; None: there is none."""
    unjudged: list[str] = []

    def look(side: SourceAccount | TargetAccount, arn: str) -> KeyFacts | None:
        found = side.key(arn)
        if not is_unread(found) or replication.deployment is not None:
            return found
        # Before there are roles, the operator's own credentials ask, and their refusal says nothing
        # about the roles to come.
        unjudged.append(arn)
        return None

    own = facts.key_arn if facts else None
    lasting = _lasting(source, target, replication, look)
    source_key, target_key = replication.source_key_arn, replication.target_key_arn
    snapshot_key = replication.snapshot_key_arn
    return replace(
        lasting,
        source=look(source, source_key) if source_key else None,
        source_is_aws_managed=source.awss_own_key(own) if own else None,
        target=look(target, target_key) if target_key else None,
        snapshot=look(target, snapshot_key) if snapshot_key else None,
        unjudged=tuple(dict.fromkeys(unjudged)),
    )


def inspect_lasting_keys(
    source: SourceAccount, target: TargetAccount, replication: Replication
) -> KeyInspection:
    """Read the keys of the places and of the stream. One that cannot be read is `refused`."""

    def look(side: SourceAccount | TargetAccount, arn: str) -> KeyFacts:
        try:
            return side.key(arn)
        except BootstrapError as error:
            return KeyFacts(arn, "", None, refused=error.what)

    return _lasting(source, target, replication, look)


def _lasting(
    source: SourceAccount, target: TargetAccount, replication: Replication, look: Look
) -> KeyInspection:
    stream, places = replication.stream_key_arn, replication.place_keys
    return KeyInspection(
        stream=look(source, stream) if stream else None,
        place_source=look(source, places.source) if places.source else None,
        place_consumer=look(target, places.consumer) if places.consumer else None,
        place_target=look(target, places.target) if places.target else None,
    )
