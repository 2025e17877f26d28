"""What came of a run: the tables, the stream and the function's log, read, judged and shown."""
