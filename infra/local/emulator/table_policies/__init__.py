"""Resource policies of tables and of their streams: what AWS accepts, and when it binds whom."""
