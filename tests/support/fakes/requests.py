"""What boto3 does around a call: parameter validation and pages."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ParamValidationError
from botocore.validate import ParamValidator

from bootstrap.aws.sdk import sdk_session


class Paginator:
    """`client.get_paginator("scan" | "query").paginate(…)`."""

    def __init__(self, method: Callable[..., dict[str, Any]]) -> None:
        self._method = method

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        request.pop("PaginationConfig", None)
        while True:
            page = self._method(**request)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@functools.lru_cache(maxsize=4)
def _model(service: str) -> Any:
    return sdk_session().get_service_model(service)


def check_shape(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Raise what boto3 raises for a request that does not fit the service's model."""
    shape = _model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(dict(request), shape)
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())
