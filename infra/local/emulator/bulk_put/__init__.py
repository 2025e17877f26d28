"""Bulk put: StartBulkPutItems, DescribeBulkOperation, ListBulkOperations, CancelBulkOperation."""
