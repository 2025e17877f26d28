"""The encryption that an upload to S3 asks for."""

from __future__ import annotations


def encryption(key: str) -> dict[str, str]:
    """Return the parameters of PutObject that encrypt with a key; empty: with S3's own.

    Said on every upload: where an organisation denies those that do not say it, the bucket's own
    default does not count.
    """
    if not key:
        return {"ServerSideEncryption": "AES256"}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
