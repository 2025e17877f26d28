"""Items that writers make, how they can be spoilt, and what makes two of them differ.

The comparison here is the oracle's: it shares nothing with the digests.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

Image = dict[str, Any]

LARGE = 300_000


def key(name: str) -> Image:
    return {"pk": {"S": name}}


def made(name: str, version: int, chance: Random) -> Image:
    """What a writer puts: no two versions of a key are alike."""
    image: Image = {
        **key(name),
        "v": {"N": str(version)},
        "b": {"B": chance.randbytes(16)},
        "m": {"M": {"t": {"N": "1"}, "l": {"L": [{"N": "2.5"}, {"S": ""}, {"NULL": True}]}}},
        "tags": {"SS": ["a", "b", "ü"]},
        "n": {"NS": ["1", "20", "0.3"]},
    }
    if chance.random() < 0.5:
        image["e"] = {"S": ""}
    return image


# -- spoilt --------------------------------------------------------------------------------------


def _binary(image: Image, chance: Random) -> Image:
    blob = bytearray(image["b"]["B"])
    bit = chance.choice((0, 8 * len(blob) - 1, chance.randrange(8 * len(blob))))
    blob[bit // 8] ^= 1 << bit % 8
    return image | {"b": {"B": bytes(blob)}}


def _type(image: Image, chance: Random) -> Image:
    inner = image["m"]["M"]
    return image | {"m": {"M": inner | {"t": {"S": inner["t"]["N"]}}}}


def _empty(image: Image, chance: Random) -> Image:
    if "e" in image:
        return {name: value for name, value in image.items() if name != "e"}
    return image | {"e": {"S": ""}}


def _value(image: Image, chance: Random) -> Image:
    return image | {"v": {"N": str(Decimal(image["v"]["N"]) + Decimal("0.5"))}}


def _large(image: Image, chance: Random) -> Image:
    """One letter of 300 KB."""
    text = image["l"]["S"]
    return image | {"l": {"S": text[:-1] + ("y" if text[-1] == "x" else "x")}}


def large(image: Image) -> Image:
    return image | {"l": {"S": "x" * LARGE}}


SPOILS: dict[str, Callable[[Image, Random], Image]] = {
    "one bit of binary": _binary,
    "N to S, nested": _type,
    "empty against missing": _empty,
    "value": _value,
    "300 KB": _large,
}


# -- written otherwise, and equal ------------------------------------------------------------------


def rescaled(value: Any) -> Any:
    """The same numbers, written otherwise: DynamoDB keeps none of this, a file may say it."""
    if isinstance(value, dict):
        return {
            name: (
                _rescaled(held)
                if name == "N" and isinstance(held, str)
                else [_rescaled(each) for each in held]
                if name == "NS" and isinstance(held, list)
                else rescaled(held)
            )
            for name, held in value.items()
        }
    return [rescaled(each) for each in value] if isinstance(value, list) else value


def _rescaled(number: str) -> str:
    return f"{number}0" if "." in number else f"{number}.0"


def reordered(value: Any) -> Any:
    """The same sets, in another order."""
    if isinstance(value, dict):
        return {
            name: held[::-1]
            if name in ("SS", "NS", "BS") and isinstance(held, list)
            else reordered(held)
            for name, held in value.items()
        }
    return [reordered(each) for each in value] if isinstance(value, list) else value


SPELLINGS: dict[str, Callable[[Any], Any]] = {"number scale": rescaled, "set order": reordered}


# -- compared ------------------------------------------------------------------------------------


def differing(one: Image | None, other: Image | None) -> tuple[str, ...]:
    """The names of the attributes that differ; all of one side's, where the other is absent."""
    left, right = one or {}, other or {}
    return tuple(
        name
        for name in sorted(left.keys() | right.keys())
        if name not in left
        or name not in right
        or (left[name] != right[name] and _meant(left[name]) != _meant(right[name]))
    )


def kind(source: Image | None, target: Image | None) -> str:
    if target is None:
        return "missing"
    return "extra" if source is None else "different"


def _meant(value: Any) -> Any:
    ((tag, held),) = value.items()
    if tag == "N":
        return tag, Decimal(held)
    if tag == "NS":
        return tag, frozenset(map(Decimal, held))
    if tag in ("SS", "BS"):
        return tag, frozenset(held)
    if tag == "M":
        return tag, {name: _meant(each) for name, each in held.items()}
    return (tag, [_meant(each) for each in held]) if tag == "L" else (tag, held)


def as_file(value: Any) -> Any:
    """As a file of an export holds it: binary as base64."""
    if isinstance(value, dict):
        return {name: as_file(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_file(each) for each in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
