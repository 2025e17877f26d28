"""What a run will do, and what keeps it from starting: a value, made of observations alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import TableFacts
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.journal.records import Wanted
from bootstrap.plan.estimate import Estimate, estimate
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.key_policies import key_blockers
from bootstrap.plan.preflight import Blocker, blockers, notes
from bootstrap.plan.price_list import PriceList
from bootstrap.plan.settings_diff import Setting, settings, wanted

LIST_PRICES = PriceList()


@dataclass(frozen=True)
class Action:
    """What a step will do."""

    step: str
    what: str


@dataclass(frozen=True)
class Plan:
    """The way from here to a replica."""

    table: str
    target_table: str
    blockers: tuple[Blocker, ...]
    actions: tuple[Action, ...]
    notes: tuple[str, ...]
    wanted: Wanted
    settings: tuple[Setting, ...]
    estimate: Estimate
    priced_by: str
    """Where the prices of the estimate come from."""

    def refuse_blocked(self) -> None:
        """Raises:
        BlockedError: naming every blocker with its fix.
        """
        if not self.blockers:
            return
        several = "\n".join(
            f"  {n}. {blocker.what}\n     Try: {blocker.fix}"
            for n, blocker in enumerate(self.blockers, 1)
        )
        if len(self.blockers) == 1:
            raise BlockedError(self.blockers[0].what, fix=self.blockers[0].fix)
        raise BlockedError(
            f"Table {self.table} cannot be replicated as things are:\n{several}",
            fix="remove what blocks, and run again: nothing has been done yet",
        )


def make(observed: Inspection, table: TableOutputs, prices: PriceList = LIST_PRICES) -> Plan:
    """The plan for a table of which no export has begun."""
    source = observed.source
    wants = Wanted()
    if source is not None:
        wants = wanted(
            source, observed.tags, observed.expiry, observed.peak_writes, observed.limits
        )
    expected = estimate(observed, prices.prices)
    return Plan(
        table=table.source_table,
        target_table=table.target_table,
        blockers=(*blockers(observed, table, expected), *key_blockers(observed, table)),
        actions=tuple(_actions(observed, table)),
        notes=tuple(notes(observed, table)),
        wanted=wants,
        settings=settings(observed, wants) if source is not None else (),
        estimate=expected,
        priced_by=prices.origin,
    )


def _actions(observed: Inspection, table: TableOutputs) -> list[Action]:
    recovery_off = observed.backups is not None and not observed.backups.enabled
    before = "switch point-in-time recovery on, then " if recovery_off else ""
    return [
        Action("buffer", f"see stream {table.stream_name} catch the changes"),
        Action("export", f"{before}export {table.source_table} as of two minutes later"),
        Action("import", f"import it into a new table {table.target_table}"),
        Action("settings", "store the floor; set the target table up as `plan` lists it"),
        Action("enable", f"switch the consumer {table.function_name} on"),
        Action("catch-up", "wait until all that was buffered has been applied"),
    ]


def creation_parameters(source: TableFacts, name: str, key: str = "") -> Mapping[str, Any]:
    """TableCreationParameters of the target (API reference, ImportTable).

    `key` is the customer-managed key for it; without one it is encrypted with a key of AWS's, and
    never with the source's, which stays in its account.

    On demand and without a maximum, whatever the source has: while it replicates, each change costs
    double in a transaction, and the source's capacity would throttle the replica for ever.
    """
    keys = [*source.keys, *(key for index in source.global_indexes for key in index["KeySchema"])]
    used = {key["AttributeName"] for key in keys}
    parameters: dict[str, Any] = {
        "TableName": name,
        # Only what keys use: the API counts them.
        "AttributeDefinitions": [
            dict(each) for each in source.attributes if each["AttributeName"] in used
        ],
        "KeySchema": [dict(key) for key in source.keys],
        "BillingMode": "PAY_PER_REQUEST",
    }
    if source.global_indexes:
        parameters["GlobalSecondaryIndexes"] = [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in source.global_indexes
        ]
    if key:
        parameters["SSESpecification"] = {
            "Enabled": True,
            "SSEType": "KMS",
            "KMSMasterKeyId": key,
        }
    elif source.encryption == "KMS":
        parameters["SSESpecification"] = {"Enabled": True, "SSEType": "KMS"}
    return parameters
