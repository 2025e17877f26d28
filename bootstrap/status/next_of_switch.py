"""The next command during a switch and after it, or the decision that is the operator's."""

from __future__ import annotations

import shlex

from bootstrap.core.formatting import instant
from bootstrap.core.refusals import CANCEL, FINISH, PROMOTE, SWITCH
from bootstrap.core.state import State
from bootstrap.status.switch_view import SwitchView


def next_of_switch(view: SwitchView, command: str) -> str | None:
    """Return the command that advances it; None if there is none, or if it is a decision.

    `command`: the template of command lines about the table. No process works on it.
    """
    attempt = view.attempt
    if view.state is State.PROMOTED:
        return f"{command.format(PROMOTE)} --yes" if view.open_items else None
    if attempt is None:
        return None
    if view.state is State.SWITCHING:
        # Half-way back there is only one way.
        return f"{command.format(SWITCH)} {CANCEL}" if attempt.cancelled else None
    if view.open_items:
        return None if view.exec_failed else switch_again(view, command)
    due = view.finish_from
    if due is not None and view.at >= due:
        return f"{command.format(SWITCH)} {FINISH}"
    return None


def decide_switch(view: SwitchView, command: str) -> str:
    """Describe the decision about an attempt whose process has died; empty where there is none."""
    attempt = view.attempt
    if attempt is None or next_of_switch(view, command) is not None:
        return ""
    if view.state is State.SWITCHED and view.exec_failed:
        return (
            "the command given with --exec has not succeeded: "
            f"`{switch_again(view, command)} --exec CMD`, with the same CMD, runs it"
        )
    if view.state is not State.SWITCHING:
        return ""
    cancel = f"`{command.format(SWITCH)} {CANCEL}` opens the source and leaves the table a replica"
    again = (
        f"`{switch_again(view, command)}`, with the other options as before, cancels this attempt "
        "and begins another one, which ends with the target open"
    )
    return f"no process works on the switch. {_meanwhile(view)}. {cancel}; {again}"


def switch_again(view: SwitchView, command: str) -> str:
    """Return the command line that switches the tables of the attempt, without its other options.

    The template names the table itself where the stack has several.
    """
    assert view.attempt is not None
    words = shlex.split(command.replace("{}", SWITCH))
    more = [each for each in view.attempt.tables if len(view.attempt.tables) > 1]
    options = [part for each in more if each not in words for part in ("--table", each)]
    return " ".join([command.format(SWITCH), *map(shlex.quote, options), f"--{view.attempt.mode}"])


def _meanwhile(view: SwitchView) -> str:
    """Say what becomes of the two tables if nothing is done."""
    attempt = view.attempt
    assert attempt is not None
    if not view.fenced:
        return "The target refuses writers; the source takes them, unless you keep them off"
    if not attempt.closes or not attempt.armed_at:
        return "Nothing is closed in the source, as far as the journal knows"
    if view.sealed:
        return "Both tables refuse writers until you choose"
    reopens = view.reopens or 0.0
    if view.at >= reopens:
        return f"The source has been open again since {instant(reopens)}, and the target is closed"
    if view.at < attempt.closes:
        closes = f"The source refuses writers from {instant(attempt.closes)}"
        return f"{closes}, and opens by itself at {instant(reopens)}; the target stays closed"
    return (
        "Both tables refuse writers; the source opens by itself at "
        f"{instant(reopens)}, and the target stays closed"
    )
