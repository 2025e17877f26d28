"""Checks of a run of the program, before it declares anything: also in `pulumi preview`.

A mistake ends the run with its text alone. What is found later leaves resources behind, half of
them protected.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi.runtime.settings import _get_rpc_manager

from infra import engine_config, glue_package, package
from infra.accounts import Accounts
from infra.glue_package import GluePackage
from infra.held_resources import HeldResources, last_tables
from infra.kept_blocks import find_lost_blocks
from infra.kept_buffers import find_other_buffers
from infra.kept_keys import find_other_keys
from infra.kept_loads import find_other_loads
from infra.kept_streams import find_other_streams
from infra.key_changes import warn_of_new_keys
from infra.moved_roles import find_moved_roles
from infra.network import warn_of_two_regions
from infra.package import Archive, PackageError
from infra.refused_changes import listed, refuse
from infra.run_rows import NO_TABLE, RUN_ROW, RunRow, UnknownRunError, look_up_run
from infra.stack_config import ConfigError, StackConfig
from replicator.buffers import STREAMS

LEAVE = {
    "SWITCHING": "status --stack {stack} --table {table} (names what ends the switch)",
    "SWITCHED": "switch --finish --stack {stack} --table {table} (a day after the switch)",
    "PROMOTED": "promote --yes --stack {stack} --table {table} (completes the promotion)",
}
"""What ends a run, by its state; `abandon` ends any other."""
STATE_WAITS = (0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to read a state that lies in a file: the engine writes it meanwhile, and
half of one cannot be read."""


class RefusedConfigError(ConfigError, pulumi.RunError):
    """A configuration that cannot deploy, shown by the engine without a traceback."""


class RefusedPackageError(PackageError, pulumi.RunError):
    """An archive that cannot be deployed, shown by the engine without a traceback."""


@dataclass(frozen=True)
class Found:
    """The look-ups' answers, from before the program declares anything."""

    before: Mapping[str, Any]
    """The outputs of the last `pulumi up`."""
    runs: Mapping[str, RunRow]
    """The rows of the runs that have begun, by source table."""
    held: HeldResources
    """What the stack's state holds."""


@contextmanager
def _text_alone() -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise RefusedConfigError(error.mistakes) from None
    except PackageError as error:
        raise RefusedPackageError(str(error)) from None


def load_config() -> StackConfig:
    """Read the stack's configuration.

    Raises:
        RefusedConfigError: naming every mistake at once.
    """
    with _text_alone():
        settings = engine_config.load(pulumi.Config())
    warn_of_two_regions(settings)
    return settings


def require_archive(config: StackConfig) -> Archive:
    """Return the built Lambda archive.

    Raises:
        RefusedPackageError: there is none, it is stale, or for another processor than the
            configuration says; with the command that builds it.
    """
    with _text_alone():
        archive = package.require(config.lambda_archive)
        package.refuse_another_architecture(archive, config.architecture)
        return archive


def require_glue_package(config: StackConfig) -> GluePackage | None:
    """Return the built package of the verification's job; None where the stack makes no job.

    Raises:
        RefusedPackageError: there is none, or it is stale; with the command that builds it.
    """
    if not config.verification.on_glue:
        return None
    with _text_alone():
        return glue_package.require(config.verification.package)


def last_outputs() -> Mapping[str, Any]:
    """Return the outputs of the last `pulumi up` of this stack; nothing before the first."""
    # What a StackReference calls. The reference would be one more resource for an operator to read;
    # the call leaves only the engine's own default provider in the state.
    return _read("pulumi:pulumi:readStackOutputs", "name")


def _read(look_up: str, argument: str) -> Mapping[str, Any]:
    """Return what the engine knows of this stack from before this run."""
    # A backend of one's own has one organization, of this name.
    organization = pulumi.get_organization() or "organization"
    name = f"{organization}/{pulumi.get_project()}/{pulumi.get_stack()}"
    waits = list(STATE_WAITS)
    while True:
        try:
            found = pulumi.runtime.invoke(look_up, {argument: name})
        except Exception as error:  # the SDK raises nothing narrower for a failed call
            if not waits or "failed to load checkpoint" not in str(error):
                raise
            _forget_failed_call()
            time.sleep(waits.pop(0))
        else:
            outputs: Mapping[str, Any] = (found.value or {}).get("outputs") or {}
            return outputs


def _forget_failed_call() -> None:
    """Let the program continue: the SDK keeps the first failed call, and ends the program by it."""
    calls = _get_rpc_manager()
    calls.unhandled_exception = calls.exception_traceback = None


def refuse_other_places(config: StackConfig, before: Mapping[str, Any]) -> None:
    """Refuse another account or Region than the stack is in.

    The engine would update the providers, and the next refresh would look for every resource in
    the wrong place, find it gone and make it again. Other changes are not looked for then: the
    accounts would be asked for what is elsewhere.

    Raises:
        RefusedChangeError: naming every difference.
    """
    refuse(
        listed(
            f"The stack {pulumi.get_stack()} cannot move to another account or Region",
            _other_places(config, before),
            "Another account is another stack, and so is another Region. Try: put the values back; "
            "or begin a stack for the new place: pulumi stack init NAME",
        )
    )


def _other_places(config: StackConfig, before: Mapping[str, Any]) -> Iterator[str]:
    for side, place in (("source", config.source), ("target", config.target)):
        known = before.get(side) or {}
        values = (("accountId", place.account_id), ("region", place.region))
        for key, value in values:
            if known.get(key) not in (None, value):
                yield f'{side}.{key}: got "{value}"; the stack is in "{known[key]}".'


def look_up(config: StackConfig, accounts: Accounts, before: Mapping[str, Any]) -> Found:
    """Look up the tables, their runs and the state, and refuse what the stack cannot take.

    Raises:
        RefusedChangeError: naming all of it: a new source table that is not there, a table that
            leaves the stack while its run lasts, a run that cannot be looked up, and what the
            modules find that are asked here.
    """
    runs, unknown = look_up_runs(config, accounts, before)
    held = look_up_held_resources()
    refuse(
        [
            *find_missing_tables(config, accounts, before),
            *find_running_tables_removed(config, accounts, before),
            *unknown,
            *find_other_buffers(config, before, runs),
            *find_other_streams(config, before),
            *find_other_keys(config, before, held),
            *find_moved_roles(config, before, runs),
            *find_other_loads(config, runs),
            *find_lost_blocks(config, before),
        ]
    )
    warn_of_new_keys(config, before)
    return Found(before, runs, held)


def find_missing_tables(
    config: StackConfig, accounts: Accounts, before: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a refusal of new source tables that are not there; warn of others that have gone."""
    known = {table.get("sourceTable") for table in last_tables(before)}
    missing = []
    for n, table in enumerate(config.tables):
        failure = _look_up(table.source, accounts.source)
        place = f"account {config.source.account_id}, {config.source.region}"
        if failure and table.source in known:
            pulumi.log.warn(
                f"The source table {table.source} was looked up in {place}, and the answer was: "
                f"{failure}. What replicates it stays as it is."
            )
        elif failure:
            missing.append(f'tables[{n}].source: "{table.source}" in {place}: {failure}')
    yield from listed(
        "These source tables were looked up, and not found",
        missing,
        f"Try: aws dynamodb list-tables --region {config.source.region}, and correct the name; "
        "or let the caller describe it (docs/platform-teams.md, The deployer's permissions)",
    )


def _look_up(table: str, provider: aws.Provider) -> str:
    """Return why the table cannot be described; an empty text if it can."""
    try:
        aws.dynamodb.get_table(name=table, opts=pulumi.InvokeOptions(provider=provider))
    except Exception as error:  # the SDK raises nothing narrower for a failed look-up
        return " ".join(str(error).split())
    return ""


def find_running_tables_removed(
    config: StackConfig, accounts: Accounts, before: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a refusal of the removal of tables whose run lasts: changes would be lost from then on.

    A run that replicates has no end of its own: `bootstrap abandon` ends it, and may leave the
    replica. A switch ends it once it is finished, a promotion once the target takes writes. The
    refusal names each such table, its row in the journal, and what would go.
    """
    kept, journal = {table.source for table in config.tables}, before.get("journalTable")
    running, commands = [], []
    for table in last_tables(before):
        name = table["sourceTable"]
        run = None if name in kept else _run_of(name, journal, accounts.target)
        if run is None or run.ended:
            continue
        running.append(
            f"{name}: {run.text} (journal table {journal}, pk {name}, sk {RUN_ROW}). "
            f"{_what_would_go(table)}"
        )
        command = LEAVE.get(
            run.state, "abandon --stack {stack} --table {table} (keeps the replica)"
        )
        commands.append(
            "python -m bootstrap " + command.format(stack=pulumi.get_stack(), table=name)
        )
    yield from listed(
        f"These tables cannot leave the stack {pulumi.get_stack()} while their runs last",
        running,
        f"Try: put them back into `tables`; {'; '.join(commands)}; "
        "then docs/operate.md, Take a table out of a stack",
    )


def _what_would_go(table: Mapping[str, Any]) -> str:
    if table.get("buffer") == STREAMS:
        return f"Its consumer {table['functionName']} would go."
    return (
        f"Its streaming destination {table['streamArn']} and its mapping {table['mappingUuid']} "
        "would go."
    )


@dataclass(frozen=True)
class _RunOfTable:
    """A table's run as its journal has it. `state` is empty where it cannot be looked up."""

    text: str
    state: str = ""
    ended: bool = False


def _run_of(table: str, journal: str | None, target: aws.Provider) -> _RunOfTable | None:
    """Look a table's run up; None where none ever began."""
    if journal is None:
        return _RunOfTable(
            "a run that cannot be looked up, as the stack's last outputs name no journal"
        )
    try:
        row = look_up_run(table, journal, target)
    except UnknownRunError as error:
        return _RunOfTable(f"a run that cannot be looked up: {error}")
    return None if row is None else _RunOfTable(f"its run is {row.state}", row.state, row.ended)


def look_up_runs(
    config: StackConfig, accounts: Accounts, before: Mapping[str, Any]
) -> tuple[Mapping[str, RunRow], Iterator[str]]:
    """Return the rows of the tables' runs, by source table, and the refusal if one is unknown.

    Where the target is the primary, an `up` has to leave alone what a switch has changed.
    """
    journal = before.get("journalTable")
    known = {table.get("sourceTable") for table in last_tables(before)}
    found: dict[str, RunRow] = {}
    unknown = []
    for table in config.tables:
        if journal is None or table.source not in known:
            continue
        try:
            row = look_up_run(table.source, journal, accounts.target)
        except UnknownRunError as error:
            if NO_TABLE in str(error):  # this `up` makes the journal anew: nothing is known
                return {}, iter(())
            unknown.append(f"{table.source}: {error}")
            continue
        if row is not None:
            found[table.source] = row
    return found, listed(
        f"Whether these tables were switched could not be looked up in journal table {journal}",
        unknown,
        "An `up` of a switched table must not switch anything back. Try: let the caller read it "
        "(dynamodb:GetItem; docs/platform-teams.md, The deployer's permissions), then pulumi up "
        "--refresh",
    )


def look_up_held_resources() -> HeldResources:
    """Return what the stack's state holds.

    The outputs do not say all of it: an `up` that failed, or was killed, may have made or encrypted
    what they do not name.
    """
    return HeldResources(_read("pulumi:pulumi:readStackResourceOutputs", "stackName"))
