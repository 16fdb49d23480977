"""Imported by the fork server, each after others: what is loaded by then is no project's."""
