"""The endpoint of the local cloud, refused unless it is on this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

VARIABLE = "AWS_ENDPOINT_URL"


def local_endpoint(environment: Mapping[str, str]) -> str:
    """Return the endpoint that the environment names.

    Raises:
        SystemExit: there is none, or it is not a loopback address. A stand-in for AWS's provider
            must never reach AWS.
    """
    endpoint = environment.get(VARIABLE, "")
    host = urlsplit(endpoint).hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise SystemExit(
            f"{VARIABLE} is {endpoint!r}, and this stand-in serves only the local cloud, on a "
            "loopback address.\nTry: make try-pulumi"
        )
    return endpoint
