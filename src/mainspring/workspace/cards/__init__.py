"""Cards and data sheets where everything they tell is at hand.

:mod:`gathering` reads the records and the package of a version, :mod:`writing` gives the card
in the form that is asked for, :mod:`keeping` lets people say their part.
"""
