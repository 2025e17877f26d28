"""S3 in memory: the calls that a store of small objects makes."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.response import StreamingBody

from tests.support.fakes.errors import EXCEPTIONS, Call, Faults, client_error
from tests.support.fakes.requests import check_shape


@dataclasses.dataclass(frozen=True)
class StoredObject:
    body: bytes
    modified: float
    metadata: Mapping[str, str]

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class FakeS3:
    """Buckets by name, objects by key. `now` gives epoch seconds; `faults` sees every call."""

    exceptions = EXCEPTIONS

    def __init__(
        self,
        now: Callable[[], float],
        *,
        faults: Faults | None = None,
        check_shapes: bool = True,
    ) -> None:
        self.now = now
        self.faults = faults or Faults()
        self.check_shapes = check_shapes
        self.buckets: dict[str, dict[str, StoredObject]] = {}
        self.calls = 0
        #: Told of each object that is put: key and body.
        self.watchers: list[Callable[[str, bytes], None]] = []

    def create_bucket(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            self.buckets.setdefault(request["Bucket"], {})
            return {"Location": f"/{request['Bucket']}"}

        return self._call("CreateBucket", request, work)

    def put_object(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            bucket = self._bucket("PutObject", request)
            key = request["Key"]
            if request.get("IfNoneMatch") == "*" and key in bucket:
                raise client_error(
                    "PutObject",
                    "PreconditionFailed",
                    "At least one of the pre-conditions you specified did not hold",
                    status=412,
                )
            body = request.get("Body", b"")
            if hasattr(body, "read"):
                body = body.read()
            content = body.encode() if isinstance(body, str) else bytes(body)
            bucket[key] = StoredObject(content, self.now(), dict(request.get("Metadata", {})))
            for watcher in self.watchers:
                watcher(key, content)
            return {"ETag": bucket[key].etag}

        return self._call("PutObject", request, work)

    def get_object(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            stored = self._object("GetObject", request, "NoSuchKey")
            body = StreamingBody(io.BytesIO(stored.body), len(stored.body))
            return {"Body": body, **_described(stored)}

        return self._call("GetObject", request, work)

    def head_object(self, **request: Any) -> dict[str, Any]:
        return self._call(
            "HeadObject", request, lambda: _described(self._object("HeadObject", request, "404"))
        )

    def delete_object(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            self._bucket("DeleteObject", request).pop(request["Key"], None)
            return {}

        return self._call("DeleteObject", request, work)

    def delete_objects(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            bucket = self._bucket("DeleteObjects", request)
            keys = [each["Key"] for each in request["Delete"]["Objects"]]
            for key in keys:
                bucket.pop(key, None)
            return {"Deleted": [{"Key": key} for key in keys]}

        return self._call("DeleteObjects", request, work)

    def copy_object(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            source = request["CopySource"]
            if isinstance(source, str):
                bucket, _, key = source.lstrip("/").partition("/")
                source = {"Bucket": bucket, "Key": key}
            stored = self._object("CopyObject", source, "NoSuchKey")
            copy = dataclasses.replace(stored, modified=self.now())
            self._bucket("CopyObject", request)[request["Key"]] = copy
            return {"CopyObjectResult": {"ETag": copy.etag}}

        return self._call("CopyObject", request, work)

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        return self._call("ListObjectsV2", request, lambda: self._list(request))

    def get_paginator(self, operation: str) -> _Paginator:
        return _Paginator(getattr(self, operation))

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        bucket = self._bucket("ListObjectsV2", request)
        prefix, delimiter = request.get("Prefix", ""), request.get("Delimiter")
        after = request.get("ContinuationToken") or request.get("StartAfter") or ""
        contents: list[dict[str, Any]] = []
        folders: list[str] = []
        truncated = False
        last = after
        for key in sorted(bucket, key=str.encode):
            if not key.startswith(prefix) or key <= after:
                continue
            rest = key[len(prefix) :]
            folder = prefix + rest.split(delimiter, 1)[0] + delimiter if delimiter else ""
            grouped = delimiter is not None and delimiter in rest
            if grouped and folder in (*folders, after):
                last = key
                continue
            if len(contents) + len(folders) == request.get("MaxKeys", 1000):
                truncated = True
                break
            if grouped:
                folders.append(folder)
            else:
                stored = bucket[key]
                contents.append(
                    {
                        "Key": key,
                        "Size": len(stored.body),
                        "ETag": stored.etag,
                        "LastModified": _moment(stored.modified),
                        "StorageClass": "STANDARD",
                    }
                )
            last = key
        response: dict[str, Any] = {
            "IsTruncated": truncated,
            "KeyCount": len(contents) + len(folders),
            "Name": request["Bucket"],
            "Prefix": prefix,
        }
        if contents:
            response["Contents"] = contents
        if folders:
            response["CommonPrefixes"] = [{"Prefix": folder} for folder in folders]
        if truncated:
            response["NextContinuationToken"] = last
        return response

    def _bucket(self, operation: str, request: Mapping[str, Any]) -> dict[str, StoredObject]:
        name = request["Bucket"]
        if name not in self.buckets:
            raise client_error(
                operation, "NoSuchBucket", "The specified bucket does not exist", status=404
            )
        return self.buckets[name]

    def _object(self, operation: str, request: Mapping[str, Any], code: str) -> StoredObject:
        bucket = self._bucket(operation, request)
        if request["Key"] not in bucket:
            raise client_error(operation, code, "The specified key does not exist.", status=404)
        return bucket[request["Key"]]

    def _call(
        self, operation: str, request: Mapping[str, Any], work: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        if self.check_shapes:
            check_shape("s3", operation, request)
        self.calls += 1
        call = Call("s3", operation, request, self.calls)
        self.faults.before(call)
        response = work()
        self.faults.after(call)
        response["ResponseMetadata"] = {
            "RequestId": f"FAKE-{call.number}",
            "HTTPStatusCode": 200,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        }
        return response


def _described(stored: StoredObject) -> dict[str, Any]:
    return {
        "ContentLength": len(stored.body),
        "ETag": stored.etag,
        "LastModified": _moment(stored.modified),
        "Metadata": dict(stored.metadata),
    }


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


class _Paginator:
    """`client.get_paginator("list_objects_v2").paginate(…)`."""

    def __init__(self, method: Callable[..., dict[str, Any]]) -> None:
        self._method = method

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        settings = request.pop("PaginationConfig", {})
        if "PageSize" in settings:
            request["MaxKeys"] = settings["PageSize"]
        while True:
            page = self._method(**request)
            yield page
            if not page["IsTruncated"]:
                return
            request["ContinuationToken"] = page["NextContinuationToken"]
