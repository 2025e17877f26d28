"""Objects of exports through S3: complete despite a broken connection, or an error."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import IncompleteReadError, ReadTimeoutError
from moto import mock_aws

from bootstrap.aws import s3_objects
from bootstrap.aws.calls import Calls
from bootstrap.aws.export_objects import S3Opener
from bootstrap.aws.login import Logins
from bootstrap.aws.s3_objects import ATTEMPTS, S3Objects
from bootstrap.core.durations import Timing
from bootstrap.core.errors import AccountError, Side, UnavailableError
from bootstrap.core.objects import MissingObjectError
from bootstrap.core.stack_outputs import AccountOutputs

BUCKET, KEY = "snapshots", "orders/AWSDynamoDB/1/data/a.json.gz"
BODY = random.Random(1).randbytes(50_000)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(s3_objects, "CHUNK_BYTES", 7_000)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key=KEY, Body=BODY)
        yield client


class Body:
    """A body that breaks off after so many reads."""

    def __init__(self, inner: Any, reads: int, error: Exception | None) -> None:
        self.inner, self.reads, self.error = inner, reads, error

    def read(self, amount: int) -> bytes:
        self.reads -= 1
        if self.reads >= 0:
            chunk: bytes = self.inner.read(amount)
            return chunk
        if self.error is not None:
            raise self.error
        return b""

    def close(self) -> None:
        self.inner.close()


class Breaking:
    """A client whose bodies break off after so many reads each, the last of them for good."""

    def __init__(self, client: Any, reads: list[int], error: Exception | None) -> None:
        self.client, self.reads, self.error = client, reads, error
        self.ranges: list[str | None] = []

    def get_object(self, **request: Any) -> Any:
        self.ranges.append(request.get("Range"))
        answer = self.client.get_object(**request)
        reads = self.reads[min(len(self.ranges), len(self.reads)) - 1]
        return {**answer, "Body": Body(answer["Body"], reads, self.error)}


def objects(client: Any) -> S3Objects:
    return S3Objects(Calls(Side.TARGET, "Role importer"), client)


TIMEOUT = ReadTimeoutError(endpoint_url="https://s3")
SHORT = IncompleteReadError(actual_bytes=1, expected_bytes=2)


def test_an_object_comes_in_chunks_and_whole(s3: Any) -> None:
    chunks = list(objects(s3).stream(BUCKET, KEY))
    assert b"".join(chunks) == BODY and len(chunks) == 8
    assert objects(s3).read(BUCKET, KEY) == BODY
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    assert objects(s3).read(BUCKET, "empty") == b""


@pytest.mark.parametrize("error", [TIMEOUT, SHORT, None])
def test_a_broken_connection_resumes_where_it_broke(s3: Any, error: Exception | None) -> None:
    client = Breaking(s3, [3, 1, 0, 2, 99], error)
    assert b"".join(objects(client).stream(BUCKET, KEY)) == BODY
    assert client.ranges == [None, "bytes=21000-", "bytes=28000-", "bytes=28000-", "bytes=42000-"]


@pytest.mark.parametrize("error", [TIMEOUT, SHORT, None])
def test_a_connection_that_keeps_breaking_is_an_error_and_never_a_short_object(
    s3: Any, error: Exception | None
) -> None:
    client = Breaking(s3, [1, 0], error)
    with pytest.raises(UnavailableError):
        list(objects(client).stream(BUCKET, KEY))
    assert len(client.ranges) == ATTEMPTS


def test_an_object_replaced_during_the_read_is_not_joined_to_its_beginning(s3: Any) -> None:
    chunks = objects(Breaking(s3, [1, 99], TIMEOUT)).stream(BUCKET, KEY)
    next(chunks)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY[::-1])
    with pytest.raises(AccountError):
        list(chunks)


def test_a_missing_object_is_told_from_one_that_may_not_be_read(s3: Any) -> None:
    with pytest.raises(MissingObjectError):
        objects(s3).read(BUCKET, "else")
    with pytest.raises(AccountError):
        objects(s3).read("another-bucket-that-is-not-there", KEY)


def test_the_factory_of_readers_can_be_pickled() -> None:
    account = AccountOutputs("222222222222", "eu-west-1", "arn:aws:iam::222222222222:role/importer")
    opener = S3Opener(Side.TARGET, account, Timing(), login=Logins().of("target"))
    assert pickle.loads(pickle.dumps(opener)) == opener
