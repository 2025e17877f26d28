"""Resource policies of DynamoDB tables: what AWS accepts, when it takes hold, whom it binds."""
