"""Sessions of botocore that know DynamoDB's bulk operations.

The pinned botocore is older than they are. `sdk_data` describes the four operations on botocore's
data path; a botocore that knows them uses its own description.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import botocore.session
from botocore.loaders import create_loader

DATA = Path(__file__).with_name("sdk_data")
"""Laid out as botocore's `data` folder."""

MODEL = "dynamodb/2012-08-10/service-2"
NEWEST_OPERATION = "CancelBulkOperation"
"""A model that has this one has all four: they came in one release."""


def sdk_session(profile: str | None = None) -> botocore.session.Session:
    """Make a session of a profile, or of botocore's default.

    Raises:
        Exception: for any wrong value in the user's AWS configuration, as botocore has it.
    """
    return with_bulk_operations(botocore.session.Session(profile=profile))


def with_bulk_operations(session: botocore.session.Session) -> botocore.session.Session:
    """Make a session, which has made no client yet, know the bulk operations; return it."""
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


@functools.cache
def _loader(data_path: str | None) -> Any:
    """Return what reads AWS's descriptions from the user's folders and botocore's own.

    It keeps what it has read. A session's own loader reads again what others have: a tenth of a
    second of work for each session of a role.
    """
    loader = create_loader(data_path)
    if NEWEST_OPERATION not in loader.load_data(MODEL)["operations"]:
        # First on the path: botocore reads one extras file, the first that it finds.
        loader.search_paths.insert(0, str(DATA))
    return loader
