"""The lines of an export's data file, streamed and checked against the manifest."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5
from typing import NoReturn

from bootstrap.core.objects import MissingObjectError, ObjectReader
from bootstrap.verify.exports.manifest import TAKE_ANOTHER, DamagedExportError, ExportedFile

_INFLATED = 1 << 20  # bytes of text at a time: an item has 400 KB at most
_GZIP = 31  # zlib's window bits for a gzip header


def read_blocks(objects: ObjectReader, bucket: str, file: ExportedFile) -> Iterator[list[bytes]]:
    """Yield the file's lines in order, in lists of about a megabyte.

    The file is verified only when the iterator ends without an error. Until then the caller must
    not publish its results.

    Raises:
        DamagedExportError: the object is missing, truncated or altered, or its number of lines is
            not the manifest's.
    """
    count = 0
    rest = b""
    for text in _inflated(objects, bucket, file):
        lines = (rest + text).split(b"\n")
        rest = lines.pop()
        count += len(lines)
        if count > file.items:
            refuse_damaged(file, f"it has more items than the {file.items} in the manifest")
        if lines:
            yield lines
    if rest:
        count += 1
        yield [rest]
    if count != file.items:
        refuse_damaged(file, f"it has {count} items, but the manifest says {file.items}")


def _inflated(objects: ObjectReader, bucket: str, file: ExportedFile) -> Iterator[bytes]:
    digest = md5(usedforsecurity=False)
    gunzip = zlib.decompressobj(_GZIP)
    fresh = True  # at the start of a member: an empty file has none
    try:
        for chunk in objects.stream(bucket, file.key):
            digest.update(chunk)
            pending = chunk
            while pending:
                text = gunzip.decompress(pending, _INFLATED)
                fresh = False
                if text:
                    yield text
                pending = gunzip.unconsumed_tail
                if gunzip.eof:
                    pending = gunzip.unused_data
                    gunzip = zlib.decompressobj(_GZIP)
                    fresh = True
    except MissingObjectError:
        refuse_damaged(file, "the object does not exist")
    except zlib.error as error:
        refuse_damaged(file, f"it is not valid gzip ({error})")
    if not fresh:
        refuse_damaged(file, "it ends in the middle of its gzip stream")
    found = b64encode(digest.digest()).decode()
    if found != file.md5:
        refuse_damaged(file, f"its MD5 is {found}, but the manifest says {file.md5}")


def refuse_damaged(file: ExportedFile, why: str) -> NoReturn:
    """Raise DamagedExportError for a data file."""
    raise DamagedExportError(f"Reading the export's data file {file.key}: {why}.", fix=TAKE_ANOTHER)
