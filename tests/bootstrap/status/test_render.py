"""The same snapshot on a terminal, in a pipe and for machines."""

from __future__ import annotations

import dataclasses
import io
import json

from rich.console import Console

from bootstrap.core.durations import Timing
from bootstrap.core.facts import Measure
from bootstrap.core.formatting import duration, moment, size
from bootstrap.core.journal_rows import Row, WaitReason
from bootstrap.core.state import State
from bootstrap.status.inputs import StatusInputs
from bootstrap.status.page import page
from bootstrap.status.render import JsonLines, Lines, Terminal, block, screen, sentence
from bootstrap.status.snapshot import StatusSnapshot, build_snapshot
from tests.support.fakes.clock import VirtualClock

START = 1_767_225_600.0


def shown(
    state: State = State.EXPORTING,
    *,
    at: float = START,
    what: str = "the export",
    measure: Measure | None = None,
) -> StatusSnapshot:
    return build_snapshot(
        StatusInputs(
            table="orders",
            target_table="orders-replica",
            row=Row(generation=1, run_id="run", state=state, since=START),
            at=at,
            holder="this process",
            waiting=WaitReason(what, START) if what else None,
            measure=measure,
        )
    )


def lines(*snapshots: StatusSnapshot, gaps: float = 1) -> list[str]:
    out, clock = io.StringIO(), VirtualClock()
    view = Lines(out, clock, Timing(), several=False)
    for each in snapshots:
        view.show([each])
        clock.advance(gaps)
    return out.getvalue().splitlines()


def test_a_pipe_gets_a_line_per_change_of_state_and_of_what_is_waited_for() -> None:
    got = lines(shown(), shown(), shown(State.IMPORTING, what="the import"))
    assert [line.split("  ", 1)[1].strip() for line in got] == [
        "EXPORTING",
        "waiting for the export",
        "IMPORTING",
        "waiting for the import",
    ]


def test_a_long_wait_gets_a_line_at_an_interval_with_how_long_it_has_been() -> None:
    got = lines(*(shown(at=START + 20 * n) for n in range(10)), gaps=20)
    assert len(got) == 2 + 3
    assert got[-1].endswith("waiting for the export, for 3 min")


def test_a_wait_names_items_and_bytes_as_far_as_they_are_known() -> None:
    measure = Measure(items=1_200, of_items=20_000, size_bytes=3 * 1024**2)
    text = sentence(shown(measure=measure, at=START + 65))
    assert text == "waiting for the export, 1,200 of 20,000 items, 3.0 MiB, for 1 min 5 s"


HALF = Measure(items=1_000, of_items=4_000, size_bytes=7, since=START)


def test_there_is_no_estimate_of_what_is_left_before_there_is_evidence() -> None:
    assert "more at this pace" not in sentence(shown(measure=HALF, at=START + 30))
    barely = dataclasses.replace(HALF, items=10)
    assert "more at this pace" not in sentence(shown(measure=barely, at=START + 600))
    probes = dataclasses.replace(HALF, unit="probes")
    assert "more at this pace" not in sentence(shown(measure=probes, at=START + 600))
    assert sentence(shown(measure=HALF, at=START + 600)).endswith("about 30 min more at this pace")


def test_a_terminal_gets_a_bar_and_a_pipe_gets_none() -> None:
    seen = shown(State.IMPORTING, what="the import", measure=HALF, at=START + 600)
    row = "              ██████░░░░░░░░░░░░░░░░░░ 25 %"
    assert row in page(seen, bars=True).splitlines()
    assert "█" not in page(seen)
    assert "░" not in "".join(lines(seen))
    assert "█" not in page(shown(measure=dataclasses.replace(HALF, of_items=None)), bars=True)
    full = dataclasses.replace(HALF, items=4_000)
    assert "█" * 24 + " 100 %" in page(shown(measure=full), bars=True)


def test_the_live_view_has_a_bar_at_the_step_that_is_under_way() -> None:
    out = io.StringIO()
    view = Terminal(Console(file=out, force_terminal=True, width=120, color_system=None))
    view.show([shown(measure=dataclasses.replace(HALF, items=3_000))])
    view.close()
    assert "██████████████████░░░░░░ 75 %" in out.getvalue()


def test_several_tables_are_named_on_their_lines() -> None:
    out = io.StringIO()
    view = screen(out, VirtualClock(), Timing(), several=True, as_lines=False)
    view.show([shown()])
    assert "  orders  EXPORTING" in out.getvalue()


def test_json_lines_are_one_object_per_change_and_one_at_the_end() -> None:
    out = io.StringIO()
    view = JsonLines(out)
    view.show([shown()])
    view.show([shown(at=START + 5)])
    view.finish([shown(State.REPLICATING, what="")])
    states = [json.loads(line)["state"] for line in out.getvalue().splitlines()]
    assert states == ["EXPORTING", "REPLICATING"]


def test_a_terminal_shows_the_steps_and_the_wait() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system=None)
    view = Terminal(console)
    view.show([shown(at=START + 65)])
    view.close()
    assert "orders → orders-replica   EXPORTING for 1 min 5 s" in out.getvalue()
    plain = Console(width=120).render_str(str(block(shown())))
    assert "catch-up" in plain.plain


def test_durations_sizes_and_moments_read_well() -> None:
    assert [duration(each) for each in (0.2, 12, 200, 3_600, 187_200)] == [
        "0 s",
        "12 s",
        "3 min 20 s",
        "1 h",
        "2 d 4 h",
    ]
    assert [size(each) for each in (0, 1023, 1024, 5 * 1024**3, 3 * 1024**4)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 GiB",
        "3.0 TiB",
    ]
    assert moment(START) == "2026-01-01T00:00:00Z"
