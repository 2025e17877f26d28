"""Sessions of botocore that know DynamoDB's bulk operations, and its streams' iterators by time.

The pinned botocore is older than they are. `sdk_data` describes the four operations, and
`sdk_stream_data` the iterators, on botocore's data path; a botocore that knows them uses its own
description.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader

DATA = Path(__file__).with_name("sdk_data")
"""Laid out as botocore's `data` folder."""
STREAM_DATA = Path(__file__).with_name("sdk_stream_data")
"""Apart from it: one botocore may know the one and not the other."""

MODEL = "dynamodb/2012-08-10/service-2"
NEWEST_OPERATION = "CancelBulkOperation"
"""A model that has this one has all four: they came in one release."""
STREAM_MODEL = "dynamodbstreams/2012-08-10/service-2"


def sdk_session(profile: str | None = None) -> botocore.session.Session:
    """Make a session of a profile, or of botocore's default.

    Raises:
        Exception: for any wrong value in the user's AWS configuration, as botocore has it.
    """
    return with_newer_operations(botocore.session.Session(profile=profile))


def role_client(service: str, config: Config) -> Any:
    """Make a client of the role that a program runs under, of what its SDK itself knows.

    The environment has the Region.
    """
    return botocore.session.Session().create_client(service, config=config)


def with_newer_operations(session: botocore.session.Session) -> botocore.session.Session:
    """Make a session, which has made no client yet, know what is newer than it; return it."""
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


@functools.cache
def _loader(data_path: str | None) -> Any:
    """Return what reads AWS's descriptions from the user's folders and botocore's own.

    It keeps what it has read. A session's own loader reads again what others have: a tenth of a
    second of work for each session of a role.
    """
    loader = create_loader(data_path)
    # First on the path: botocore reads one extras file of a service, the first that it finds.
    if NEWEST_OPERATION not in loader.load_data(MODEL)["operations"]:
        loader.search_paths.insert(0, str(DATA))
    iterator = loader.load_data(STREAM_MODEL)["shapes"]["GetShardIteratorInput"]
    if "Timestamp" not in iterator["members"]:
        loader.search_paths.insert(0, str(STREAM_DATA))
    return loader
