"""The results of a run: tables, stream and function log, read, compared and shown."""
