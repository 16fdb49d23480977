"""The finders: each takes the facts of a scan and says what is owed. One file a family."""
