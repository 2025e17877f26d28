"""The partition and the DNS suffix of each AWS Region. Imports nothing of AWS's.

A test holds the table against botocore's own data. Service principals such as
`lambda.amazonaws.com` are the same in every partition: never build one from the suffix.
"""

from __future__ import annotations

COMMERCIAL = ("aws", "amazonaws.com")
BY_REGION_PREFIX = {
    "cn-": ("aws-cn", "amazonaws.com.cn"),
    "us-gov-": ("aws-us-gov", "amazonaws.com"),
    "us-iso-": ("aws-iso", "c2s.ic.gov"),
    "us-isob-": ("aws-iso-b", "sc2s.sgov.gov"),
    "eu-isoe-": ("aws-iso-e", "cloud.adc-e.uk"),
    "us-isof-": ("aws-iso-f", "csp.hci.ic.gov"),
    "eusc-": ("aws-eusc", "amazonaws.eu"),
}
"""Partition and DNS suffix by the prefix of a Region's name. Every other Region is commercial."""


def partition(region: str) -> str:
    """Return the partition of a Region, as an ARN names it."""
    return _of(region)[0]


def dns_suffix(region: str) -> str:
    """Return the domain that the endpoints of a Region end with."""
    return _of(region)[1]


def endpoint(service: str, region: str) -> str:
    """Return the endpoint of a service in a Region, as `kms:ViaService` names it."""
    return f"{service}.{region}.{dns_suffix(region)}"


def _of(region: str) -> tuple[str, str]:
    for prefix, found in BY_REGION_PREFIX.items():
        if region.startswith(prefix):
            return found
    return COMMERCIAL
