"""What an audit found, on disk: the columns of its table, shards that appear whole or not at all, and the manifest."""
