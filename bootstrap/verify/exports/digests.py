"""A line of a full export to two digests: the same as the consumer's, several times as fast.

Three routes to the same bytes. A line of the table's usual shape is decoded into a type that was
made for it; others into a type that takes every item; what neither takes (half surrogates, what is
no JSON) goes through `replicator.canonical` itself, which also says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from bootstrap.verify.exports.decoders import (
    SINGLE_NUMBER,
    DeferredChecks,
    any_shape,
    encode,
    encode_into,
    find_no_type,
    find_odd_number,
    find_two_types,
)
from bootstrap.verify.exports.lines import parse_item
from bootstrap.verify.exports.schema_inference import SchemaInference
from replicator.canonical import DIGEST_BYTES, digest, key_digest, normal_number

PAIR_BYTES = 2 * DIGEST_BYTES

_FIRST_LOOK = 64  # items that are studied before the first shape is made
_EAGER = 1024  # unusual items that are all studied; after them, one in sixteen
_REVIEW = 4096  # unusual items, after which a shape has to have paid

_AT_ONCE = 64  # lines whose doubts are looked at together
_WARY = 64  # times as many that are looked at one by one, after a doubt that was justified

_EMPTY = blake2b(digest_size=DIGEST_BYTES)  # a copy is made in half the time
_WHOLE_RANGE = 1 << 64


class Digester:
    """Digests the lines of a table with this key schema. One per process: it learns their shape.

    `sample` is the share of keys wanted, by their digests: the same keys whatever the table.
    """

    def __init__(self, key: tuple[str, ...], sample: float = 1.0) -> None:
        self._key = key
        self._limit = None if sample >= 1 else int(sample * _WHOLE_RANGE)
        self._any = any_shape(key)
        self._usual = self._any
        self._doubts = DeferredChecks()
        self._study = SchemaInference(key, self._doubts)
        self._wary = 0
        self._learning = True
        self._unusual = 0
        self._lines = 0
        self._next = _FIRST_LOOK

    def __call__(self, line: bytes) -> bytes | None:
        """Key digest and image digest, 32 bytes; None for a key outside the sample.

        Raises ValueError for a line that is not an item with this key.
        """
        pairs: list[bytes | None] = []
        self.extend(pairs, (line,))
        return pairs[0]

    def extend(self, pairs: list[bytes | None], lines: Sequence[bytes]) -> None:
        """Appends what each line comes to; after a ValueError, those of the lines before it."""
        self._lines += len(lines)
        for start in range(0, len(lines), _AT_ONCE):
            some = lines[start : start + _AT_ONCE]
            before = len(pairs)
            if self._wary:
                self._wary -= 1
            elif self._trustingly(pairs, some):
                continue
            else:
                self._wary = _WARY
                del pairs[before:]
            self._append(pairs, some, wary=True)
            self._doubts.forget()

    def _trustingly(self, pairs: list[bytes | None], lines: Sequence[bytes]) -> bool:
        """Whether what was appended is right: there was no error, and no doubt is justified."""
        try:
            self._append(pairs, lines, wary=False)
        except ValueError:
            self._doubts.forget()
            return False
        return not self._doubts.justified()

    def _append(self, pairs: list[bytes | None], lines: Sequence[bytes], wary: bool) -> None:
        """One loop with few calls: a call costs as much as a good part of the work on a line.

        `wary`: looks at each line by itself; else its doubts are left to the caller.
        """
        limit, add, fresh = self._limit, pairs.append, _EMPTY.copy
        form, image = bytearray(), bytearray()
        usual, learning = self._usual, self._learning
        decode, key_of, look = usual.decode, usual.key, wary or usual.loose
        for line in lines:
            try:
                if learning:
                    raise ValueError
                item = decode(line).Item
                encode_into(key_of(item), form)
            except (ValueError, KeyError, RecursionError):
                add(self._seldom(line))
                usual, learning = self._usual, self._learning
                decode, key_of, look = usual.decode, usual.key, wary or usual.loose
                continue
            encode_into(item, image)
            if look and (find_odd_number(image) or find_two_types(image) or find_no_type(image)):
                add(self._carefully(line, bytes(form), bytes(image)))
                continue
            hashed = fresh()
            hashed.update(form)
            head = hashed.digest()
            if limit is not None and int.from_bytes(head[8:16], "big") >= limit:
                add(None)
                continue
            hashed = fresh()
            hashed.update(image)
            add(head + hashed.digest())

    def _seldom(self, line: bytes) -> bytes | None:
        """A line that is not of the usual shape, or that comes before there is one."""
        try:
            item = self._any.decode(line).Item
            form = encode(self._any.key(item))
        except (ValueError, KeyError, RecursionError):
            return self._exactly(line)
        pair = self._carefully(line, form, encode(item))
        self._learn(line)
        return pair

    def _carefully(self, line: bytes, form: bytes, image: bytes) -> bytes | None:
        if find_two_types(image) or find_no_type(image):
            return self._exactly(line)
        if find_odd_number(image):
            form, image = (SINGLE_NUMBER.sub(_normal, each) for each in (form, image))
            if find_odd_number(image):  # in a set, which may come into another order
                return self._exactly(line)
        head = blake2b(form, digest_size=DIGEST_BYTES).digest()
        if not self._wanted(head):
            return None
        return head + blake2b(image, digest_size=DIGEST_BYTES).digest()

    def _wanted(self, head: bytes) -> bool:
        # The last bytes: the first ones choose the partition.
        return self._limit is None or int.from_bytes(head[8:16], "big") < self._limit

    def _exactly(self, line: bytes) -> bytes | None:
        try:
            item = parse_item(line)
            head = key_digest({name: item[name] for name in self._key})
        except KeyError as error:
            raise ValueError(f"the item has no key attribute {error.args[0]!r}") from error
        except RecursionError as error:
            raise ValueError("the item is nested too deeply") from error
        return head + digest(item) if self._wanted(head) else None

    def _learn(self, line: bytes) -> None:
        """Makes a shape of what keeps coming, and gives up where hardly two items are alike."""
        self._unusual += 1
        if self._unusual > _REVIEW and self._unusual * 4 > self._lines * 3:
            self._usual, self._learning = self._any, False
            return
        if self._unusual <= _EAGER or self._unusual % 16 == 0:
            self._study.add(msgspec.json.decode(line)["Item"])
        if self._unusual >= self._next:
            # Making a shape takes as long as some thousand lines.
            self._next *= 2
            made = self._study.shape()
            if made is not None:
                self._usual, self._learning = made, False


def _normal(number: re.Match[bytes]) -> bytes:
    return b'N":"' + normal_number(number[1].decode()).encode() + b'"'
