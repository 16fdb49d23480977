"""What is kept and what may go: deleting, restoring, retention, and reclaiming the space.

Read first: :mod:`collecting` (``mainspring gc``, step by step), :mod:`needs` (why a run must
stay), :mod:`reclaiming` (which objects nobody needs), :mod:`deleting` (what people delete).
"""
