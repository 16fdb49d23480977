"""Join findings, rules, states, groups and channels: what is put to rules, and who is told.

Read first: :mod:`evaluating` (a judged window is put to every rule), :mod:`delivering` (pages on
their way), :mod:`verbs` (what people declare).
"""
