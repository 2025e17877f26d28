"""One form for every way of writing the same item, and its digest.

The ledger remembers images by digest, and verification compares two tables by digest, so two images
have the same canonical form exactly when DynamoDB would call them equal: attribute names sorted,
sets sorted, numbers by value, binary by its bytes. An image is DynamoDB JSON whose binary values
are `bytes`; a number stays text from end to end, because 38 digits fit no Python number but
Decimal, and Decimal compares by a context that is easily got wrong.

The form is JSON because Python's encoder writes that in C; Python code only visits numbers, sets
and containers, and copies only what is not normal already.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import blake2b
from json import JSONEncoder
from typing import Any

Image = Mapping[str, Any]

DIGEST_BYTES = 16

# What the encoder writes canonically without help ("B" by way of `_binary`).
_AS_IT_IS = frozenset({"S", "B", "BOOL", "NULL"})

# Numbers that are in their normal form: what DynamoDB hands out nearly always.
NORMAL_NUMBER = r"0|-?[1-9][0-9]{0,39}|-?(?:0|[1-9][0-9]*)\.[0-9]{0,39}[1-9]"
_NORMAL_NUMBER = re.compile(NORMAL_NUMBER).fullmatch
_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,9}))?").fullmatch
_PLAIN_DIGITS = 40  # a longer integer, or more decimals, are written with an exponent


def canonical(image: Image | None) -> bytes:
    """Return the canonical form of an image (or of a key); absence is the empty string."""
    if image is None:
        return b""
    return _encode(_attributes(image)).encode("utf-8", "surrogatepass")


def digest(image: Image | None) -> bytes:
    """Return 16 bytes of BLAKE2b over the canonical form. Absence has a digest of its own."""
    return blake2b(canonical(image), digest_size=DIGEST_BYTES).digest()


def key_digest(keys: Image) -> bytes:
    """Return the ledger's key: the digest of the key attributes."""
    return digest(keys)


def measure(image: Image | None) -> tuple[bytes, int]:
    """Return digest and length in bytes of the canonical form.

    The length is never less than what DynamoDB counts for the item: the JSON form of each type is
    at least as long as the stored one.
    """
    form = canonical(image)
    return blake2b(form, digest_size=DIGEST_BYTES).digest(), len(form)


def normal_number(text: str) -> str:
    """Normalise the spelling of a number: `1`, `1.0` and `1E0` are the same, `-0` is `0`.

    It works on the digits, so it is exact at any length. Text that is no number comes back
    unchanged: the target rejects it.
    """
    if _NORMAL_NUMBER(text):
        return text
    parts = _NUMBER(text)
    if parts is None or not (parts[2] or parts[3]):
        return text
    sign, whole, fraction, power = parts[1], parts[2], parts[3] or "", int(parts[4] or "0")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return "0"
    significant = digits.rstrip("0")
    exponent = power - len(fraction) + len(digits) - len(significant)
    return ("-" if sign == "-" else "") + _spelled(significant, exponent)


def _spelled(digits: str, exponent: int) -> str:
    """Spell `digits` times ten to the `exponent`; digits neither begin nor end with a zero."""
    if exponent >= 0:
        if len(digits) + exponent <= _PLAIN_DIGITS:
            return digits + "0" * exponent
    elif -exponent <= _PLAIN_DIGITS:
        if len(digits) > -exponent:
            return f"{digits[:exponent]}.{digits[exponent:]}"
        return f"0.{'0' * (-exponent - len(digits))}{digits}"
    return f"{digits}e{exponent}"


def _attributes(attributes: Image) -> Image:
    """Return the attributes with numbers and sets in normal form; copy only what changes."""
    changed: dict[str, Any] | None = None
    for name, value in attributes.items():
        ((tag, content),) = value.items()
        if tag in _AS_IT_IS:
            continue
        normal = _NORMAL_FORM[tag](content)
        if normal is not content:
            if changed is None:
                changed = dict(attributes)
            changed[name] = {tag: normal}
    return attributes if changed is None else changed


def _list(elements: list[Any]) -> list[Any]:
    changed: list[Any] | None = None
    for index, value in enumerate(elements):
        ((tag, content),) = value.items()
        if tag in _AS_IT_IS:
            continue
        normal = _NORMAL_FORM[tag](content)
        if normal is not content:
            if changed is None:
                changed = list(elements)
            changed[index] = {tag: normal}
    return elements if changed is None else changed


def _numbers(members: list[str]) -> list[str]:
    return sorted({normal_number(member) for member in members})


def _members(members: list[Any]) -> list[Any]:
    return sorted(set(members))


_NORMAL_FORM: dict[str, Any] = {
    "N": normal_number,
    "M": _attributes,
    "L": _list,
    "SS": _members,
    "NS": _numbers,
    "BS": _members,
}


def _binary(value: bytes) -> str:
    return b64encode(value).decode("ascii")


_encode = JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"), default=_binary
).encode
