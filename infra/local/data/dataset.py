"""Generated items of every shape that DynamoDB stores, the same for the same seed.

The table is an order book: orders of many kinds, in partitions of very different size, under a
binary sort key.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from infra.local.data.items import Item, KeyAttribute, KeySchema, SecondaryIndex, TableShape, Value

KEYS = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "B"))
STATUS, CUSTOMER = KeyAttribute("status", "S"), KeyAttribute("customer", "S")
PLACED_AT, TOTAL = KeyAttribute("placed_at", "N"), KeyAttribute("total", "N")

ORDERS = TableShape(
    name="orders",
    keys=KEYS,
    indexes=(SecondaryIndex("by-status", (STATUS,), (PLACED_AT,)),),
    expiry="expires_at",
)
ORDERS_WITH_LOCAL_INDEXES = replace(
    ORDERS,
    indexes=(
        *ORDERS.indexes,
        SecondaryIndex("by-status-and-customer", (STATUS, CUSTOMER), (PLACED_AT, TOTAL)),
        SecondaryIndex("within-by-time", (KEYS.partition,), (PLACED_AT,), local=True),
        SecondaryIndex(
            "within-by-status", (KEYS.partition,), (STATUS,), local=True, projected=("total",)
        ),
    ),
)
"""Beside the local indexes, a global one with a key of several attributes, which many items lack.
"""

BIG_ITEMS = 4
BIG_BYTES = 300 * 1024
EXPIRING_ONE_IN = 64
"""One generated item in this many has a time to live that ends while the demo runs."""
EXPIRES_AFTER = (15, 150)
"""Seconds after the start at which such items expire."""

STATUSES = ("placed", "paid", "packed", "sent", "returned")

# Numbers that break unless they stay text: 38 digits, both ends of the range, zeros.
NUMBERS = (
    "0",
    "1",
    "-1",
    "0.1",
    "-0.000001",
    "12345678901234567890123456789012345678",
    "-98765432109876543210987654321098765432",
    "1.2345678901234567890123456789012345678",
    "0.00000000000000000000000000000000000012345678901234567890123456789012345678",
    "9.9999999999999999999999999999999999999E+125",
    "-9.9999999999999999999999999999999999999E+125",
    "1E-130",
    "-1E-130",
    "100000000000000000000000000000000000000000",
    "9007199254740993",
    "18446744073709551617",
)

TEXTS = (
    "",
    " ",
    "plain",
    "naïve café Ωμέγα 東京",
    "😀👩‍👩‍👧‍👦",
    "e\u0301 is not \u00e9",
    'tab\tnewline\nquote"backslash\\nul\u0000end',
    '{"S": "looks like DynamoDB JSON"}',
    "QUJDRA==",
    "\uffff\u200b\u2028",
    "null",
)

# Some of these are base64 or text again after one decoding too many or too few.
BINARIES = (
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"QUJDRA==",
    b"plain text",
    bytes(range(256)),
    b"\x00\x00\x00\x01",
    b"\xf0\x9f\x98",
)

NAMES = ("with space", "dotted.name", "#hash", ":colon", "schlüssel", "名前", "size", "a" * 200)


@dataclass(frozen=True)
class GeneratedOrders:
    """The generated table. `item(n)` needs no other item, so writers need no copy of the table."""

    seed: int
    started: int
    """Epoch seconds that times to live are counted from."""
    count: int
    local_indexes: bool = False

    @property
    def shape(self) -> TableShape:
        return ORDERS_WITH_LOCAL_INDEXES if self.local_indexes else ORDERS

    def item(self, n: int) -> Item:
        """Return the n-th seeded item, 0 <= n < count."""
        random = self._random(n)
        return {**self._key(n, random), **self._content(n, random)}

    def expires(self, n: int) -> bool:
        """Return whether item n is to be deleted by its time to live during the demo."""
        return n % EXPIRING_ONE_IN == EXPIRING_ONE_IN - 1

    def new(self, n: int) -> Item:
        """Return an item that is not in the seeded table: another one for each n >= count."""
        random = self._random(n)
        key: dict[str, Value] = {
            "pk": {"S": f"new-{n % 997:03d}"},
            "sk": {"B": n.to_bytes(8, "big") + random.choice(BINARIES)},
        }
        return {**key, **_content(random), **self._indexed(random)}

    def altered(self, item: Item, random: Random) -> Item:
        """Return the same key with other content. One in ten leaves the index that it was in."""
        key = ORDERS.keys.key_of(item)
        revision = {"revision": {"N": str(random.randrange(10**12))}}
        if len(item) > 3 and random.random() < 0.5:
            return {**item, **revision}
        indexed = self._indexed(random) if random.random() < 0.9 else {}
        return {**key, **_content(random), **indexed, **revision}

    def expiring(self, item: Item, at: int) -> Item:
        """Return the same item with a time to live (epoch seconds)."""
        return {**item, ORDERS.expiry: {"N": str(at)}}

    def _random(self, n: int) -> Random:
        return Random(f"{self.seed}/{n}")

    def _key(self, n: int, random: Random) -> dict[str, Value]:
        # Some partitions hold one item, some hundreds; some keys are as long as keys can be.
        partition = f"order-{n:07d}" if n % 3 else f"batch-{n // 300:05d}"
        if n % 1009 == 1:
            partition = (partition + "/ключ/" + "x" * 2048)[:2000]
        sort = n.to_bytes(4, "big") + random.choice(BINARIES)
        if n % 1013 == 2:
            sort = sort + random.randbytes(1024 - len(sort))
        return {"pk": {"S": partition}, "sk": {"B": sort}}

    def _content(self, n: int, random: Random) -> dict[str, Value]:
        if n < BIG_ITEMS:
            return _big(n, random)
        content = _content(random)
        if n % 5:
            content |= self._indexed(random)
        if self.expires(n):
            content[ORDERS.expiry] = {"N": str(self.started + random.randint(*EXPIRES_AFTER))}
        elif n % 10 == 1:
            content[ORDERS.expiry] = random.choice(_never_expiring(self.started))
        return content

    def _indexed(self, random: Random) -> dict[str, Value]:
        return {
            "status": {"S": random.choice(STATUSES)},
            "placed_at": {"N": str(self.started - random.randrange(10**8))},
        }


def _never_expiring(started: int) -> tuple[Value, ...]:
    # Neither a non-number nor a time over five years ago expires (howitworks-ttl).
    years = 365 * 86400
    return ({"N": str(started + 2 * years)}, {"N": str(started - 8 * years)}, {"S": "never"})


def _content(random: Random) -> dict[str, Value]:
    maker = random.choice(_SHAPES)
    return maker(random)


def _plain(random: Random) -> dict[str, Value]:
    return {
        "customer": {"S": f"customer {random.randrange(5000)}"},
        "total": {"N": f"{random.randrange(10**7) / 100:.2f}"},
        "gift": {"BOOL": random.random() < 0.2},
        "coupon": {"NULL": True},
        "note": {"S": random.choice(TEXTS)},
    }


def _numbers(random: Random) -> dict[str, Value]:
    picked = random.sample(NUMBERS, 6)
    return {f"n{index}": {"N": number} for index, number in enumerate(picked)}


def _binary(random: Random) -> dict[str, Value]:
    return {
        "signature": {"B": random.randbytes(random.randrange(1, 400))},
        "empty": {"B": b""},
        "tricky": {"B": random.choice(BINARIES)},
        "in list": {"L": [{"B": random.choice(BINARIES)}, {"L": [{"B": random.randbytes(9)}]}]},
        "in map": {"M": {"inner": {"M": {"blob": {"B": random.randbytes(33)}}}}},
        "in set": {"BS": random.sample(BINARIES, 3)},
    }


def _sets(random: Random) -> dict[str, Value]:
    return {
        "tags": {"SS": random.sample(TEXTS, random.randint(1, 6))},
        "amounts": {"NS": random.sample(NUMBERS, random.randint(1, 8))},
        "hashes": {"BS": [random.randbytes(16) for _ in range(random.randint(1, 5))]},
        "nested": {"M": {"sets": {"L": [{"SS": ["b", "a"]}, {"NS": ["2", "10", "-1"]}]}}},
    }


def _document(random: Random) -> dict[str, Value]:
    return {
        "lines": {
            "L": [
                {
                    "M": {
                        "article": {"S": f"A-{random.randrange(10**6):06d}"},
                        "count": {"N": str(random.randint(1, 99))},
                        "price": {"N": f"{random.randrange(10**6) / 1000:.3f}"},
                        "options": {"M": {}},
                    }
                }
                for _ in range(random.randint(0, 12))
            ]
        },
        "address": {"M": {"street": {"S": random.choice(TEXTS)}, "geo": {"L": []}}},
        "deep": _nested(random, random.randint(1, 28)),
    }


def _nested(random: Random, depth: int) -> Value:
    if depth == 0:
        return _any_scalar(random)
    inner = _nested(random, depth - 1)
    return {"L": [inner]} if depth % 2 else {"M": {random.choice(NAMES): inner}}


def _names(random: Random) -> dict[str, Value]:
    return {name: _any_scalar(random) for name in NAMES}


def _long_text(random: Random) -> dict[str, Value]:
    words = random.choices(string.ascii_lowercase, k=random.randrange(200, 3000))
    return {"text": {"S": "".join(words)}}


def _nothing(random: Random) -> dict[str, Value]:
    return {}


def _any_scalar(random: Random) -> Value:
    kinds: tuple[Value, ...] = (
        {"S": random.choice(TEXTS)},
        {"N": random.choice(NUMBERS)},
        {"B": random.choice(BINARIES)},
        {"BOOL": True},
        {"BOOL": False},
        {"NULL": True},
    )
    return random.choice(kinds)


def _big(n: int, random: Random) -> dict[str, Value]:
    """Return an item of 300 KB: in one value, or in many."""
    if n % 2:
        return {"blob": {"B": random.randbytes(BIG_BYTES)}}
    return {"parts": {"L": [{"B": random.randbytes(1024)} for _ in range(BIG_BYTES // 1024)]}}


_SHAPES: tuple[Callable[[Random], dict[str, Value]], ...] = (
    _plain,
    _plain,
    _numbers,
    _binary,
    _sets,
    _document,
    _names,
    _long_text,
    _nothing,
)
