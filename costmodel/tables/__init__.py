"""Technologies, one file a node."""
