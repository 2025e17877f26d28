"""The values that the stack file, the roles and the operator's tool share about a load."""

IMPORT, BULK = "import", "bulk"
"""The modes of a load."""
STANDARD, ACCELERATED = TIERS = ("STANDARD", "ACCELERATED")
"""The tiers of a bulk put; the first is AWS's default."""
LEAST_WRITE_UNITS = 1024
"""The least that `StartBulkPutItems` takes as MaxWriteRequestUnits (API reference)."""
OUTPUT_FOLDER = "bulk-output"
"""Of each run, in a table's folder of the snapshot bucket. It lies beside the export, so that the
right to write there is none to write over the export."""
