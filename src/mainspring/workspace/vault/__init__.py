"""Keep secrets sealed at rest: steps' values, and what webhooks, channels and triggers show.

Read first: :mod:`keys` (where the key comes from), :mod:`sealed` (what is sealed, and how it is
sealed anew).
"""
