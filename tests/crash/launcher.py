"""Runs the bootstrap's own command line, each time in a process of its own, at a word on stdin.

The processes are forked from this one, which has read Python's modules and botocore's descriptions
of AWS once: a hundred runs then take half the machine. It has no thread, no client and no secret
that a child could have part in.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import select
import signal
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import botocore.session
from botocore.loaders import JSONFileLoader

from bootstrap.app import process
from bootstrap.app.account_clients import SOURCE_SERVICES
from bootstrap.cli import main
from bootstrap.journal.lease import Machine, this_machine
from tests.crash.crash_points import Case
from tests.crash.hooks import Hooks

SERVICES = (*SOURCE_SERVICES, "dynamodbstreams", "lambda", "s3", "sts")
PR_SET_PDEATHSIG = 1
ELSEWHERE = "elsewhere"
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Order:
    """A line of stdin: what to run, and where its words go."""

    number: int
    """What its answers begin with."""
    arguments: list[str]
    out: str
    err: str
    calls: str = ""
    """Where its calls are listed; empty: as an operator runs it, with nothing in between."""
    case: str = ""
    elsewhere: bool = False
    """Whether it holds its lease as a process of another machine, whose end cannot be seen."""

    def as_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


def read_models() -> None:
    """Reads what every client is made of, for all children."""
    JSONFileLoader.load_file = functools.cache(JSONFileLoader.load_file)
    JSONFileLoader.exists = functools.cache(JSONFileLoader.exists)
    session = botocore.session.Session()
    for service in SERVICES:
        session.create_client(
            service, region_name="eu-west-1", aws_access_key_id="-", aws_secret_access_key="-"
        )


def die_with_parent() -> None:
    """A frozen run is not to stay for ever behind a harness that was killed. Linux only."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def another_machine() -> Machine:
    """This process, as one of a machine that no other process is on."""
    here = this_machine()
    return replace(here, me=replace(here.me, host=ELSEWHERE, machine=ELSEWHERE))


def work(order: Order) -> NoReturn:
    """In the child."""
    code: Any = 0
    die_with_parent()
    try:
        for path, number in ((os.devnull, 0), (order.out, 1), (order.err, 2)):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(path, flags), number)
        if order.elsewhere:
            setattr(process, this_machine.__name__, another_machine)
        if order.calls:
            case = Case.parse(order.case) if order.case else None
            Hooks(Path(order.calls), case).install()
        main.main(order.arguments, prog_name="bootstrap")
    except SystemExit as exit:
        code = exit.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def serve() -> None:
    """Until stdin ends. Answers with the pid of a child, and with its code when it has died."""
    children: dict[int, int] = {}
    text = b""
    while True:
        ready, _, _ = select.select([0], [], [], LOOK_SECONDS)
        if ready:
            more = os.read(0, 65536)
            if not more:
                return
            *lines, text = (text + more).split(b"\n")
            for line in lines:
                order = Order(**json.loads(line))
                pid = os.fork()
                if pid == 0:
                    work(order)
                children[pid] = order.number
                print(json.dumps({"number": order.number, "pid": pid}), flush=True)
        for pid in list(children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                number, code = children.pop(pid), os.waitstatus_to_exitcode(status)
                print(json.dumps({"number": number, "code": code}), flush=True)


if __name__ == "__main__":
    read_models()
    serve()
