"""Values of a resource as the engine sends them, and as the local cloud takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc

ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
"""Pulumi's signature of an archive (sdk/go/common/resource/sig)."""


ASSET = "c44067f5952c0a294b673a41bacd8c17"
"""Of an asset, such as one file."""


def plain(value: Any) -> Any:
    """Return a Struct, or a value of one, without secrets' wrapping and without nulls.

    An archive becomes a `FileArchive`; one from the state, which has no path, its hash.
    """
    if isinstance(value, struct_pb2.Struct):
        value = json_format.MessageToDict(value)
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    signature = value.get(rpc._special_sig_key)
    if signature == ARCHIVE:
        return pulumi.FileArchive(value["path"]) if "path" in value else value["hash"]
    if signature == ASSET:
        return pulumi.FileAsset(value["path"]) if "path" in value else value["hash"]
    if signature is not None:
        return plain(value.get("value"))
    return {key: plain(inner) for key, inner in value.items() if inner is not None}


def comparable(value: Any) -> Any:
    """Return a value such that equal ones mean the same: an archive is its hash."""
    if isinstance(value, struct_pb2.Struct):
        value = json_format.MessageToDict(value)
    if isinstance(value, list):
        return [comparable(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    signature = value.get(rpc._special_sig_key)
    if signature in (ARCHIVE, ASSET):
        return value.get("hash")
    if signature is not None:
        return comparable(value.get("value"))
    return {key: comparable(inner) for key, inner in value.items()}


def is_known(value: Any) -> bool:
    """Tell whether nothing in a value waits for a resource that does not exist yet."""
    if isinstance(value, Mapping):
        return all(is_known(inner) for inner in value.values())
    if isinstance(value, list):
        return all(is_known(inner) for inner in value)
    return bool(value != rpc.UNKNOWN)


def merged(struct: struct_pb2.Struct, more: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return a copy with more in it. What stays is untouched: secrets, unknowns, archives."""
    copy = struct_pb2.Struct()
    copy.CopyFrom(struct)
    json_format.ParseDict({**json_format.MessageToDict(copy), **more}, copy)
    return copy
