"""Score tables of any size with a version: in parts, in parallel, gone on with after a kill.

``sources`` says what is scored, ``parts`` keeps what is done, ``scoring`` scores one part,
``joining`` makes the output of all parts, ``running`` is the whole of it.
"""
