"""The resources of one replicated table, for components that need several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra.accounts import Accounts
from infra.buffer import AdoptedBuffer, Buffer, OwnBuffer, given_stream_keys, key_name
from infra.consumer import ConsumerFunction, ConsumerRole
from infra.held_resources import KMS_KEY
from infra.ledger import LedgerTable
from infra.package import Archive
from infra.place_keys import PlaceKeys
from infra.policies import Text
from infra.preflight import Found
from infra.stack_config import StackConfig
from infra.streaming_choice import StreamingChoice
from infra.table_config import TableConfig
from infra.watchdog import WatchdogFunction


@dataclass(frozen=True)
class TableStack:
    """One table's boxes in the drawing."""

    table: TableConfig
    role: ConsumerRole
    buffer: Buffer | None
    """None where the table's own stream is the buffer: the operator's tool switches that on."""
    ledger: LedgerTable
    consumer: ConsumerFunction
    watchdog: WatchdogFunction
    target_key: Text | None
    """The customer-managed key of the target table."""

    @classmethod
    def declared(
        cls,
        table: TableConfig,
        settings: StackConfig,
        accounts: Accounts,
        archive: Archive,
        found: Found,
        keys: PlaceKeys,
        key_grants: Sequence[pulumi.Resource],
    ) -> TableStack:
        """Declare what carries one table's changes: each part before the parts that use it.

        `key_grants`: of the operators' roles to use the keys of the places.
        """
        given = given_stream_keys(table, found.before)
        role = ConsumerRole(table, settings, accounts, keys=keys, stream_keys=given)
        watchdog = WatchdogFunction(table, settings, accounts, keys)
        key_grants = [*role.key_grants, *watchdog.key_grants, *key_grants]
        streams = StreamingChoice.of(table, found.runs.get(table.source), found.held)
        buffer: Buffer | None
        if table.reads_table_stream:
            buffer = None
        elif table.stream is not None:
            buffer = AdoptedBuffer(table, settings, accounts, before=found.before, streams=streams)
        else:
            buffer = OwnBuffer(
                table,
                settings,
                accounts,
                reader=role.arn,
                before=found.before,
                streams=streams,
                keeps_made_key=found.held.has(KMS_KEY, key_name(table)),
                key_grants=key_grants,
            )
        ledger = LedgerTable(table, settings, accounts, key=keys.target, key_grants=key_grants)
        consumer = ConsumerFunction(
            table,
            settings,
            accounts,
            role=role,
            buffer=buffer,
            ledger=ledger,
            archive=archive,
            keys=keys,
            key_grants=key_grants,
        )
        watchdog.declare_function(buffer, ledger, consumer, archive)
        of_place = keys.target.arn if keys.target and not table.load.adopt else None
        key = table.target_key or of_place
        return cls(table, role, buffer, ledger, consumer, watchdog, key)
