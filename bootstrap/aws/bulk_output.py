"""The records that a bulk load's output objects list, as pure functions.

Which records there are is documented (developer guide, BulkPutItems.Output); the names of their
members are not relied on. A record's key is found by the table's key attributes, wherever they are.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bootstrap.core.bulk_facts import BulkFailure
from replicator.canonical import key_digest

NESTED = 4
"""Levels of a record that are searched for the key."""
LONGEST_LINE = 32 << 20
"""Bytes: an item of 400 KB is a few MB of JSON at most, with every character escaped."""
_GZIP = b"\x1f\x8b"
_WINDOW = 31  # zlib's window bits for a gzip header
_CODE = re.compile("[A-Z][A-Za-z]{2,60}(Exception|Error|Exceeded|Failed|Failure)")
_KEY_TYPES = ("S", "N", "B")

# AWS's message may quote the item. So a reason is its code, and our own words for the messages that
# are known (of PutItem: bulk put's own are not documented).
_KNOWN = (
    (re.compile("Missing the key|missing.*key", re.I), "a key attribute is missing"),
    (re.compile("Type mismatch for Index Key", re.I), "an index key has another type"),
    (re.compile("Type mismatch for key", re.I), "a key attribute has another type"),
    (re.compile("size has exceeded|exceed.*size", re.I), "the item is too large"),
    (re.compile("empty (string|binary)", re.I), "a key or index key is empty"),
    (re.compile("set.*(empty|duplicates)", re.I), "a set is empty or has a value twice"),
    (re.compile("nesting level", re.I), "it is nested too deep"),
    (re.compile("conditional request failed", re.I), "its condition is false"),
    (re.compile("gzip|compress", re.I), "the object is not compressed as expected"),
    (re.compile("json|format|pars", re.I), "the line is not a record of DynamoDB's JSON"),
)
_CODE_NAMES = ("errorcode", "code", "failurecode")
_TEXT_NAMES = ("errormessage", "message", "failuremessage", "reason", "error")


class UnreadableLineError(Exception):
    """A line of the output whose form is not known."""


def failure_of(line: bytes, key_names: Sequence[str]) -> BulkFailure:
    """Return the refused item of an output line, without anything of its content.

    Raises:
        UnreadableLineError: it is no JSON object.
    """
    try:
        record = json.loads(line)
    except ValueError as error:
        raise UnreadableLineError from error
    if not isinstance(record, dict):
        raise UnreadableLineError
    key = _key_in(record, key_names, NESTED)
    return BulkFailure(key_digest(key).hex() if key else "", _reason(record))


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of an object, plain or gzipped, that are not blank.

    Raises:
        UnreadableLineError: a damaged object, or a line without an end.
    """
    rest = b""
    for chunk in _plain(chunks):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (each for each in whole if each.strip())
        if len(rest) > LONGEST_LINE:
            raise UnreadableLineError
    if rest.strip():
        yield rest


def _plain(chunks: Iterable[bytes]) -> Iterator[bytes]:
    gunzip: Any = None
    for number, chunk in enumerate(chunks):
        if number == 0 and chunk.startswith(_GZIP):
            gunzip = zlib.decompressobj(_WINDOW)
        if gunzip is None:
            yield chunk
            continue
        rest = chunk
        try:
            while rest:
                if gunzip.eof:  # another gzip stream follows in the same object
                    gunzip = zlib.decompressobj(_WINDOW)
                yield gunzip.decompress(rest)
                rest = gunzip.unused_data
        except zlib.error as error:
            raise UnreadableLineError from error
    if gunzip is not None and not gunzip.eof:
        raise UnreadableLineError


def _key_in(value: Any, names: Sequence[str], levels: int) -> dict[str, Any] | None:
    """Find the first map that has all key attributes. Text may be the JSON of a record."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, Mapping) or not levels:
        return None
    found = {name: _attribute(value.get(name)) for name in names}
    if names and all(found.values()):
        return found
    inner = (_key_in(each, names, levels - 1) for each in value.values())
    return next(filter(None, inner), None)


def _attribute(value: Any) -> dict[str, Any] | None:
    """Return a key attribute with its binary as bytes; None if it is none."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return None
    ((kind, content),) = value.items()
    if kind not in _KEY_TYPES or not isinstance(content, str):
        return None
    if kind != "B":
        return {kind: content}
    try:
        return {"B": base64.b64decode(content, validate=True)}
    except (binascii.Error, ValueError):
        return None


def _reason(record: Mapping[str, Any]) -> str:
    texts = {
        "".join(filter(str.isalnum, name)).lower(): value
        for name, value in record.items()
        if isinstance(value, str)
    }
    code = next((texts[name] for name in _CODE_NAMES if _CODE.fullmatch(texts.get(name, ""))), "")
    message = next((texts[name] for name in _TEXT_NAMES if name in texts), "")
    words = next((words for known, words in _KNOWN if known.search(message)), "")
    if code and words:
        return f"{code}: {words}"
    return code or words or "the output names no known reason"
