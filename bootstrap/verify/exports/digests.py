"""The digests of an exported item: the consumer's, computed several times as fast.

Three ways lead to the same bytes. A line of the table's usual shape is decoded into a type made for
that shape, any other line into a type for every item. Lines that fit neither (half surrogates,
invalid JSON) go through `replicator.canonical` itself, which also reports their errors.
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

_FIRST_LOOK = 64  # items seen before the first shape is made
_ALL_LEARNED = 1024  # unusual items that are all learned from; after them, one in sixteen
_REVIEW = 4096  # unusual items after which a shape must have paid for itself

_BATCH = 64  # lines whose deferred checks run together
_CHECKED_BATCHES = 64  # batches that are checked line by line after a check has failed

_EMPTY = blake2b(digest_size=DIGEST_BYTES)  # copying it takes half the time
_WHOLE_RANGE = 1 << 64


class Digester:
    """A digester for one table's lines, which learns their shape. One for each process.

    `sample` is the share of keys to digest. The key's digest decides, so that both sides sample
    the same keys.
    """

    def __init__(self, key: tuple[str, ...], sample: float = 1.0) -> None:
        self._key = key
        self._limit = None if sample >= 1 else int(sample * _WHOLE_RANGE)
        self._any = any_shape(key)
        self._usual_shape = self._any
        self._deferred = DeferredChecks()
        self._inference = SchemaInference(key, self._deferred)
        self._checked_batches = 0
        self._learning = True
        self._unusual_lines = 0
        self._lines = 0
        self._next = _FIRST_LOOK

    def __call__(self, line: bytes) -> bytes | None:
        """Return key digest and image digest, 32 bytes; None for a key outside the sample.

        Raises ValueError for a line that is not an item with this key.
        """
        pairs: list[bytes | None] = []
        self.extend(pairs, (line,))
        return pairs[0]

    def extend(self, pairs: list[bytes | None], lines: Sequence[bytes]) -> None:
        """Append each line's digests; after a ValueError, those of the lines before it."""
        self._lines += len(lines)
        for start in range(0, len(lines), _BATCH):
            some = lines[start : start + _BATCH]
            before = len(pairs)
            if self._checked_batches:
                self._checked_batches -= 1
            elif self._append_unchecked(pairs, some):
                continue
            else:
                self._checked_batches = _CHECKED_BATCHES
                del pairs[before:]
            self._append(pairs, some, checked=True)
            self._deferred.clear()

    def _append_unchecked(self, pairs: list[bytes | None], lines: Sequence[bytes]) -> bool:
        """Append without checks; return False if a line or a deferred check then fails."""
        try:
            self._append(pairs, lines, checked=False)
        except ValueError:
            self._deferred.clear()
            return False
        return not self._deferred.any_failed()

    def _append(self, pairs: list[bytes | None], lines: Sequence[bytes], checked: bool) -> None:
        """Append digests in one loop with few calls: calls would be a large part of the time.

        `checked`: each line is checked here; otherwise the caller runs the deferred checks.
        """
        limit, add, fresh = self._limit, pairs.append, _EMPTY.copy
        form, image = bytearray(), bytearray()
        usual, learning = self._usual_shape, self._learning
        decode, key_of, look = usual.decode, usual.key, checked or usual.loose
        for line in lines:
            try:
                if learning:
                    raise ValueError
                item = decode(line).Item
                encode_into(key_of(item), form)
            except (ValueError, KeyError, RecursionError):
                add(self._digest_unusual(line))
                usual, learning = self._usual_shape, self._learning
                decode, key_of, look = usual.decode, usual.key, checked or usual.loose
                continue
            encode_into(item, image)
            if look and (find_odd_number(image) or find_two_types(image) or find_no_type(image)):
                add(self._digest_checked(line, bytes(form), bytes(image)))
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

    def _digest_unusual(self, line: bytes) -> bytes | None:
        """Digest a line outside the usual shape, or before there is one."""
        try:
            item = self._any.decode(line).Item
            form = encode(self._any.key(item))
        except (ValueError, KeyError, RecursionError):
            return self._digest_exactly(line)
        pair = self._digest_checked(line, form, encode(item))
        self._learn(line)
        return pair

    def _digest_checked(self, line: bytes, form: bytes, image: bytes) -> bytes | None:
        if find_two_types(image) or find_no_type(image):
            return self._digest_exactly(line)
        if find_odd_number(image):
            form, image = (SINGLE_NUMBER.sub(_normal, each) for each in (form, image))
            if find_odd_number(image):  # in a set, whose order may change
                return self._digest_exactly(line)
        head = blake2b(form, digest_size=DIGEST_BYTES).digest()
        if not self._is_sampled(head):
            return None
        return head + blake2b(image, digest_size=DIGEST_BYTES).digest()

    def _is_sampled(self, head: bytes) -> bool:
        # The last bytes: the first ones choose the partition.
        return self._limit is None or int.from_bytes(head[8:16], "big") < self._limit

    def _digest_exactly(self, line: bytes) -> bytes | None:
        try:
            item = parse_item(line)
            head = key_digest({name: item[name] for name in self._key})
        except KeyError as error:
            raise ValueError(f"the item lacks the key attribute {error.args[0]!r}") from error
        except RecursionError as error:
            raise ValueError("the item is nested too deeply") from error
        return head + digest(item) if self._is_sampled(head) else None

    def _learn(self, line: bytes) -> None:
        """Make a shape of frequent items; stop learning if hardly two items are alike."""
        self._unusual_lines += 1
        if self._unusual_lines > _REVIEW and self._unusual_lines * 4 > self._lines * 3:
            self._usual_shape, self._learning = self._any, False
            return
        if self._unusual_lines <= _ALL_LEARNED or self._unusual_lines % 16 == 0:
            self._inference.add(msgspec.json.decode(line)["Item"])
        if self._unusual_lines >= self._next:
            # Making a shape takes as long as some thousand lines.
            self._next *= 2
            made = self._inference.shape()
            if made is not None:
                self._usual_shape, self._learning = made, False


def _normal(number: re.Match[bytes]) -> bytes:
    return b'N":"' + normal_number(number[1].decode()).encode() + b'"'
