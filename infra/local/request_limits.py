"""AWS's limits on a request's values, from botocore's own models: length, pattern and choice.

botocore sends a name that is too long; AWS refuses it, and the local cloud would not.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ParamValidationError

from infra.local.size_limits import role_faults, size_faults

# AWS writes patterns for Java. Its letters come with numbers and the underscore in every pattern.
JAVA_CLASSES = {r"\p{L}": r"\w", r"\p{Z}": r"\s", r"\p{N}": r"\d", r"\p{Print}": r"[^\x00-\x1f]"}

TIGHTER = {
    # botocore's models allow more, and AWS's documented limits and quotas do not.
    ("lambda", "CreateFunction", "FunctionName"): 64,
    ("s3", "CreateBucket", "Bucket"): 63,
    ("sns", "CreateTopic", "Name"): 256,
    ("dynamodb", "CreateTable", "TableName"): 255,
}
"""Longest values, by service, operation and top-level parameter."""

UNWRITTEN_PATTERNS = {
    ("cloudwatch", "PutDashboard", "DashboardName"): r"[A-Za-z0-9_-]{1,255}",
    ("s3", "CreateBucket", "Bucket"): r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    ("sns", "CreateTopic", "Name"): r"[A-Za-z0-9_-]+(\.fifo)?",
    ("dynamodb", "CreateTable", "TableName"): r"[A-Za-z0-9_.-]+",
}


def enforce_limits(client: Any) -> Any:
    """Make a boto3 client refuse what AWS's model of the request forbids; return the client.

    A refused call raises botocore's `ParamValidationError`, which names every fault.
    """
    refuse = functools.partial(_refuse, client)
    client.meta.events.register("before-parameter-build", refuse)
    return client


def _refuse(client: Any, *, params: Mapping[str, Any], model: Any, **_: Any) -> None:
    found = list(faults(params, model))
    if not found and model.service_model.service_name == "iam":
        found = list(role_faults(client, model.name, params))
    if found:
        raise ParamValidationError(report="\n".join(found))


def faults(params: Mapping[str, Any], operation: Any) -> Iterator[str]:
    """Yield each way in which these parameters break AWS's model of the operation."""
    service = operation.service_model.service_name
    for name, value in params.items():
        where = (service, operation.name, name)
        longest, pattern = TIGHTER.get(where), UNWRITTEN_PATTERNS.get(where)
        if longest is not None and len(value) > longest:
            yield f"{name} is {len(value)} long, and AWS allows {longest}: {value!r}"
        if pattern is not None and not re.fullmatch(pattern, value):
            yield f"{name} is {value!r}, and does not match {pattern}"
    yield from size_faults(service, operation.name, params)
    if operation.input_shape is not None:
        yield from _structure(params, operation.input_shape, "")


def _structure(value: Mapping[str, Any], shape: Any, path: str) -> Iterator[str]:
    for name, inner in value.items():
        member = shape.members.get(name)
        if member is not None:
            yield from _value(inner, member, f"{path}{name}")


def _value(value: Any, shape: Any, path: str) -> Iterator[str]:
    yield from _size(value, shape, path)
    if shape.type_name == "structure" and isinstance(value, Mapping):
        yield from _structure(value, shape, f"{path}.")
    elif shape.type_name == "list" and isinstance(value, list | tuple):
        for n, inner in enumerate(value):
            yield from _value(inner, shape.member, f"{path}[{n}]")
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _value(key, shape.key, f"{path} key {key!r}")
            yield from _value(inner, shape.value, f"{path}.{key}")
    elif shape.type_name == "string" and isinstance(value, str):
        yield from _text(value, shape, path)


def _size(value: Any, shape: Any, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name in ("string", "blob", "list", "map"):
        if not hasattr(value, "__len__"):
            return
        size, what = len(value), "long"
    elif shape.type_name in ("integer", "long", "float", "double"):
        size, what = value, "the value"
    else:
        return
    if most is not None and size > most:
        yield f"{path}: {size} is {what}, and AWS allows {most}"
    if least is not None and size < least:
        yield f"{path}: {size} is {what}, and AWS needs {least}"


def _text(value: str, shape: Any, path: str) -> Iterator[str]:
    choices = shape.metadata.get("enum")
    if choices and value not in choices:
        yield f"{path}: {value!r} is none of {', '.join(choices)}"
    pattern = compiled(shape.metadata.get("pattern", ""))
    if pattern is not None and not pattern.fullmatch(value):
        yield f"{path}: {value!r} does not match {pattern.pattern}"


@functools.cache
def compiled(pattern: str) -> re.Pattern[str] | None:
    """Compile a pattern of AWS's; return None for no pattern, and for one that Python cannot read.

    A test names the patterns of the second kind.
    """
    for java, python in JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern, re.DOTALL) if pattern else None
    except re.error:
        return None
