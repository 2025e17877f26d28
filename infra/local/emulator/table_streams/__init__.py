"""DynamoDB Streams: the streams of tables, their shards and records, and who may read them."""
