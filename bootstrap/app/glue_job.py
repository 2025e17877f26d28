"""The program of the verification's job on AWS Glue, which the stack puts into the bucket.

It is packed with the modules that it imports and nothing else, and runs with an older SDK.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bootstrap.aws.job_role import JobBucket, JobObjects
from bootstrap.core.errors import BootstrapError
from bootstrap.verify.spark.bucket_place import BucketPlace
from bootstrap.verify.spark.job import SETTINGS, run_job
from bootstrap.verify.spark.job_arguments import KEY, PLACE

PROGRESS_SECONDS = 10.0
"""Between two objects of progress: each is a request to S3."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare as the request of the place says. The run fails with the error that is left there."""
    from pyspark.sql import SparkSession

    given = list(sys.argv[1:] if arguments is None else arguments)
    place = BucketPlace(*_place(_value(given, PLACE), _value(given, KEY)))
    builder = SparkSession.builder.appName("verify")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        run_job(session, place, JobObjects(), PROGRESS_SECONDS)
    except BootstrapError as error:
        sys.exit(error.what)
    finally:
        session.stop()


def _place(uri: str, key: str) -> tuple[JobBucket, str, str]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return JobBucket(bucket, key), bucket, prefix


def _value(arguments: Sequence[str], name: str) -> str:
    """Return the text after an option; empty if it is not there. Glue adds options of its own."""
    for at, each in enumerate(arguments[:-1]):
        if each == name:
            return arguments[at + 1]
    return ""
