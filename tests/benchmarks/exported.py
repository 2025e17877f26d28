"""The items that the verification is measured with, as lines of an export."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from typing import Any

KEY = ("pk", "sk")

Maker = Callable[[int], bytes]


def item(key: int, size: int) -> dict[str, Any]:
    """An item of about `size` bytes: strings, numbers, a map, a list, a binary, a set."""
    chance = random.Random(key)
    made: dict[str, Any] = {
        "pk": {"S": f"customer-{key:08d}"},
        "sk": {"N": str(key % 97)},
        "revision": {"N": str(key)},
        "price": {
            "N": f"{chance.randrange(10**6)}.{chance.randrange(10)}{chance.randrange(1, 10)}"
        },
        "digest": {"B": base64.b64encode(chance.randbytes(32)).decode()},
        "address": {"M": {"city": {"S": "Zaragoza"}, "zip": {"S": "50001"}, "ok": {"BOOL": True}}},
        "tags": {"L": [{"S": "a"}, {"N": "7"}, {"NULL": True}]},
        "colours": {"SS": ["blue", "red"]},
    }
    filler = max(size - 220, 0)
    for part in range(0, filler, 200):
        length = min(200, filler - part)
        made[f"text{part // 200:02d}"] = {"S": chance.randbytes(length // 2).hex()}
    return made


def line(made: dict[str, Any]) -> bytes:
    return json.dumps({"Item": made}, ensure_ascii=False, separators=(",", ":")).encode()


def alike(size: int) -> Maker:
    return lambda key: line(item(key, size))


def disordered(size: int) -> Maker:
    """The same attributes, in each item in another order."""
    return lambda key: line(shuffled(item(key, size), random.Random(key)))


def mixed(size: int) -> Maker:
    """One table for several kinds of items, as is usual: attributes that some items lack or hold as
    NULL, maps in maps, lists of maps of any length, sets, in each item in another order.
    """

    def made(key: int) -> bytes:
        chance = random.Random(key)
        whole = _KINDS[key % len(_KINDS)](key, chance)
        whole["pk"], whole["sk"] = {"S": f"tenant-{key:08d}"}, {"N": str(key % 97)}
        whole["kind"] = {"S": ("order", "customer", "session", "event")[key % len(_KINDS)]}
        whole["createdAt"] = {"S": f"2026-0{chance.randrange(1, 9)}-12T10:11:12.{key % 1000:03d}Z"}
        for name in ("updatedBy", "comment", "channel"):
            if chance.random() < 0.6:
                null = chance.random() < 0.2
                whole[name] = {"NULL": True} if null else {"S": _words(chance, 4)}
        text = line(shuffled(whole, chance))
        whole["description"] = {"S": _words(chance, max(1, (size - 40 - len(text)) // 5))}
        return line(shuffled(whole, chance))

    return made


def unlike(size: int) -> Maker:
    """Items of which hardly two have the same attributes."""

    def made(key: int) -> bytes:
        whole = item(key, size)
        kept = {
            n: v for n, v in whole.items() if n in KEY or random.Random(f"{key}{n}").random() < 0.8
        }
        return line({**kept, f"extra{key % 977}": {"S": "x" * (size // 5)}})

    return made


def escaped(size: int) -> Maker:
    """Items whose texts hold line ends, quotes and letters beyond ASCII."""
    return lambda key: line({**item(key, size - 60), "note": {"S": f'first\nsecond "é" {key} …'}})


def one_text(size: int) -> Maker:
    """A key and one long text."""
    return lambda key: line(
        {
            "pk": {"S": f"customer-{key:08d}"},
            "sk": {"N": str(key % 97)},
            "text": {"S": random.Random(key).randbytes((size - 60) // 2).hex()},
        }
    )


CASES: list[tuple[str, int, Callable[[int], Maker]]] = [
    ("1 KB, alike", 1024, alike),
    ("1 KB, alike, in any order", 1024, disordered),
    ("1 KB, mixed, in any order", 1024, mixed),
    ("1 KB, alike, with escapes", 1024, escaped),
    ("1 KB, one long text", 1024, one_text),
    ("1 KB, hardly two alike", 1024, unlike),
    ("200 B, alike", 200, alike),
    ("10 KB, alike", 10 * 1024, alike),
    ("100 KB, one long text", 100 * 1024, one_text),
]


def shuffled(attributes: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The same attributes in another order, and those of the maps within."""
    names = list(attributes)
    chance.shuffle(names)
    return {name: _shuffled(attributes[name], chance) for name in names}


def _shuffled(value: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    if "M" in value:
        return {"M": shuffled(value["M"], chance)}
    if "L" in value:
        return {"L": [_shuffled(each, chance) for each in value["L"]]}
    return value


def _order(key: int, chance: random.Random) -> dict[str, Any]:
    lines = [
        {
            "M": {
                "sku": {"S": f"sku-{chance.randrange(10**6)}"},
                "quantity": {"N": str(chance.randrange(1, 9))},
                "price": {"N": f"{chance.randrange(900)}.{chance.randrange(1, 10)}"},
            }
        }
        for _ in range(chance.randrange(1, 4))
    ]
    return {
        "lines": {"L": lines},
        "total": {"N": f"{chance.randrange(9000)}.5"},
        "shipping": {"M": {"method": {"S": "air"}, "to": {"M": _address(chance)}}},
        "paid": {"BOOL": chance.random() < 0.5},
    }


def _customer(key: int, chance: random.Random) -> dict[str, Any]:
    return {
        "email": {"S": f"someone-{key}@example.com"},
        "address": {"M": _address(chance)},
        "points": {"N": str(chance.randrange(10**5))},
        "groups": {"SS": chance.sample(["gold", "silver", "beta", "press", "staff"], 3)},
        "visits": {"NS": [str(each) for each in chance.sample(range(1000), 4)]},
    }


def _session(key: int, chance: random.Random) -> dict[str, Any]:
    return {
        "token": {"B": base64.b64encode(chance.randbytes(48)).decode()},
        "expires": {"N": str(1_790_000_000 + key)},
        "scopes": {"L": [{"S": each} for each in ("read", "write", "admin")[: 1 + key % 3]]},
        "agent": {"S": _words(chance, 8)},
    }


def _event(key: int, chance: random.Random) -> dict[str, Any]:
    return {
        "sequence": {"N": str(key * 1000)},
        "source": {"M": {"name": {"S": "sensor"}, "at": {"L": [{"N": "41.65"}, {"N": "-0.88"}]}}},
        "value": {"N": f"-{chance.randrange(100)}.{chance.randrange(1, 10)}"},
        "flags": {"SS": chance.sample(["low", "late", "manual"], 2)},
    }


def _address(chance: random.Random) -> dict[str, Any]:
    made = {"city": {"S": _words(chance, 1)}, "zip": {"S": str(chance.randrange(10**5))}}
    if chance.random() < 0.5:
        made["street"] = {"S": _words(chance, 3)}
    return made


_KINDS = [_order, _customer, _session, _event]
_WORDS = "the quick brown fox jumps over New Zealand and leaves a lazy dog asleep"


def _words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(_WORDS.split(), k=count))
