"""Tell runs to others as OpenLineage does. Read first: :mod:`events`, then :mod:`delivering`."""
