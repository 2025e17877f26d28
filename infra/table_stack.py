"""The resources of one replicated table, for components that need several of them."""

from __future__ import annotations

from dataclasses import dataclass

from infra.accounts import Accounts
from infra.buffer import AdoptedBuffer, Buffer, OwnBuffer, key_name
from infra.consumer import ConsumerFunction, ConsumerRole
from infra.held_resources import KEY
from infra.ledger import LedgerTable
from infra.package import Archive
from infra.preflight import Found
from infra.stack_config import StackConfig
from infra.streaming_choice import StreamingChoice
from infra.table_config import TableConfig


@dataclass(frozen=True)
class TableStack:
    """One table's boxes in the drawing."""

    table: TableConfig
    role: ConsumerRole
    buffer: Buffer
    ledger: LedgerTable
    consumer: ConsumerFunction

    @classmethod
    def declared(
        cls,
        table: TableConfig,
        settings: StackConfig,
        accounts: Accounts,
        archive: Archive,
        found: Found,
    ) -> TableStack:
        """Declare what carries one table's changes: each part before the parts that use it."""
        role = ConsumerRole(table, settings, accounts)
        streams = StreamingChoice.of(table, found.runs.get(table.source), found.held)
        buffer: Buffer
        if table.stream is not None:
            buffer = AdoptedBuffer(table, settings, accounts, before=found.before, streams=streams)
        else:
            buffer = OwnBuffer(
                table,
                settings,
                accounts,
                reader=role.arn,
                before=found.before,
                streams=streams,
                keeps_made_key=found.held.has(KEY, key_name(table)),
            )
        ledger = LedgerTable(table, settings, accounts)
        consumer = ConsumerFunction(
            table, settings, accounts, role=role, buffer=buffer, ledger=ledger, archive=archive
        )
        return cls(table, role, buffer, ledger, consumer)
