"""The settings of LOCAL_BULK."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

EXAMPLE = "seconds=20,changes=on"
SWITCHES = {"on": True, "off": False}


@dataclass(frozen=True)
class BulkOptions:
    """Settings of the local cloud's bulk puts, where AWS is silent or slow.

    seconds: the time that the lines of one operation take. None: a minute, scaled.
    changes: whether bulk puts are change records of streams and streaming destinations. AWS does
    not say; off.
    operations: how many operations of an account and Region may run at once, at least 1. AWS has
    such a quota; this number is the local cloud's own.
    policies: whether a table's policy may name StartBulkPutItems. AWS's lists do not have it; off.
    """

    seconds: float | None = None
    changes: bool = False
    operations: int = 50
    policies: bool = False


NO_BULK_OPTIONS = BulkOptions()


def parse(text: str) -> BulkOptions:
    """Read a list like "seconds=20,changes=on".

    Raises ValueError, with a line that begins "Try: ", for an unknown name or a wrong value.
    """
    options = NO_BULK_OPTIONS
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, value = part.partition("=")
        match name:
            case "seconds":
                options = replace(options, seconds=_number(name, value, least=0))
            case "operations":
                options = replace(options, operations=int(_number(name, value, least=1)))
            case "changes" if value in SWITCHES:
                options = replace(options, changes=SWITCHES[value])
            case "policies" if value in SWITCHES:
                options = replace(options, policies=SWITCHES[value])
            case "changes" | "policies":
                raise _wrong(f"{name} is {value!r}, neither on nor off")
            case _:
                raise _wrong(f"there is no {name!r}, only changes, operations, policies, seconds")
    return options


def _number(name: str, value: str, least: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= least):
        raise _wrong(f"{name} is {value!r}, not a number of at least {least}")
    return number


def _wrong(what: str) -> ValueError:
    return ValueError(f"LOCAL_BULK: {what}.\nTry: LOCAL_BULK={EXAMPLE}")
