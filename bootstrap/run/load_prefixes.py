"""Prefixes that divide the objects of a snapshot into the parts of a bulk load."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


class IndivisibleKeysError(ValueError):
    """A key is the beginning of so many others that no plain prefix leaves it out."""


def divide(prefix: str, keys: Sequence[str], most: int) -> tuple[str, ...]:
    """Return disjoint prefixes that cover all `keys`, each for at most `most` of them, in order.

    `prefix` is that of all keys. It is the only one where it has no more keys than that.

    That S3KeyPrefix is compared as plain text, and need not end at a slash, is assumed: AWS does
    not say so of bulk puts. If it is otherwise, an operation finds no object, and the count of the
    items shows it.

    Raises:
        IndivisibleKeysError: for keys that no such prefixes divide.
    """
    if len(keys) <= most:
        return (prefix,)
    if prefix in keys:
        raise IndivisibleKeysError(f"{prefix!r} is the key of an object, and begins {len(keys)}")
    groups = groupby(sorted(keys), key=lambda key: key[: len(prefix) + 1])
    return tuple(each for longer, found in groups for each in divide(longer, list(found), most))
