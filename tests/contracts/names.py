"""Contracts of names: the command line, exit codes, variables, words and metrics."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections import defaultdict
from collections.abc import Iterator

import click

from bootstrap.cli import verify as verify_commands
from bootstrap.cli.main import main
from bootstrap.core import durations, errors
from bootstrap.core.run_options import TtlPolicy
from bootstrap.core.state import State
from replicator import names
from replicator.consumer.metrics import EmfEmitter, InvocationStats
from replicator.consumer.outcome import Reason
from replicator.watchdog import detectors
from tests.contracts.shape import Read, Watched
from tests.support.replicator import watchdog_harness


def command_line() -> list[str]:
    return list(_command("bootstrap", main))


def _command(path: str, command: click.Command) -> Iterator[str]:
    yield path
    for each in command.params:
        yield f"{path} {_parameter(each)}"
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _command(f"{path} {name}", inner)


def _parameter(each: click.Parameter) -> str:
    info = each.to_info_dict()
    kind = info["type"]
    words = [*(each.opts if isinstance(each, click.Option) else [str(each.human_readable_name)])]
    words += each.secondary_opts
    if info.get("is_flag"):
        words.append("flag")
    elif "choices" in kind:
        words.append(f"one of {', '.join(map(str, kind['choices']))};")
    else:
        words.append(str(kind["param_type"]).lower())
        words += [f"{name} {kind[name]}" for name in ("min", "max") if kind.get(name) is not None]
    if each.nargs != 1:
        words.append("several")
    if info.get("multiple"):
        words.append("repeatable")
    if each.required:
        words.append("required")
    elif not info.get("is_flag") or each.default:
        words.append(f"default {info['default']}")
    if each.envvar:
        words.append(f"or ${each.envvar}")
    return " ".join(words)


def exit_codes() -> list[str]:
    codes = {
        "done": 0,
        "blocked": errors.BlockedError.exit_code,
        "usage": errors.UsageError.exit_code,
        "the source account": errors.Side.SOURCE.value,
        "the target account": errors.Side.TARGET.value,
        "verification found differences": verify_commands.EXIT_DIFFERENCES,
        "still running": errors.StillRunningError.exit_code,
        "a switch was cancelled": errors.SwitchCancelledError.exit_code,
        "switched, but --exec failed": errors.ExecFailedError.exit_code,
        "a bug": errors.EXIT_BUG,
        "interrupted": errors.EXIT_INTERRUPTED,
        "pipe closed": errors.EXIT_PIPE_CLOSED,
        "lease held by another run": errors.LeaseHeldError.exit_code,
        "lease lost to another run": errors.LeaseLostError.exit_code,
    }
    return [f"{code:3} {meaning}" for meaning, code in codes.items()]


def environment() -> list[str]:
    """Variables that the operator's tool reads itself."""
    asked: Read = set()
    durations.timing_from(Watched({}, asked))
    with contextlib.suppress(errors.UsageError):
        durations.timing_from(Watched(dict.fromkeys(asked, "0.5"), asked))
    return list(asked)


def values() -> list[str]:
    """Words that are stored, and read by another release or another program."""
    kinds = {
        "quarantine reason": Reason,
        "state": State,
        "time to live": TtlPolicy,
        "detector level": detectors.Level,
    }
    lines = [f"{what} {each.value}" for what, kind in kinds.items() for each in kind]
    return [*lines, *(f"detector {e.metric} ({e.level.value})" for e in detectors.ALL)]


def metrics() -> list[str]:
    stats = InvocationStats(logging.getLogger("contracts"))
    stats.counts = defaultdict(lambda: 1)  # type: ignore[assignment]
    stats.lags = [1.0]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        EmfEmitter(names.dimensions("prod", "orders", "111111111111", "orders-consumer")).emit(
            stats
        )
    lines = {line for each in out.getvalue().splitlines() for line in _metrics("consumer", each)}
    healthy, gone = (
        watchdog_harness.WatchdogHarness(),
        watchdog_harness.WatchdogHarness(mapping=None),
    )
    for world in (healthy, gone):
        world.round()
        world.after()
        lines |= set(_metrics("watchdog", json.dumps(world.line)))
    return list(lines)


def _metrics(who: str, line: str) -> Iterator[str]:
    for directive in json.loads(line)["_aws"]["CloudWatchMetrics"]:
        dimensions = "; ".join(", ".join(each) for each in directive["Dimensions"])
        for each in directive["Metrics"]:
            where = f"{who}: {directive['Namespace']} {each['Name']}"
            yield f"{where} in {each['Unit']} by {dimensions}"
