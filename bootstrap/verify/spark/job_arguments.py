"""The arguments of a run of the job on AWS Glue."""

from __future__ import annotations

PLACE = "--place"
"""The place of the comparison: s3://BUCKET/PREFIX."""
TOKEN = "--verification"
"""What names the run: by it the run is found again, as StartJobRun takes no client token."""
KEY = "--results-key"
"""The customer-managed key of the bucket, which the stack gives the job."""
