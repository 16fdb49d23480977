"""Take in what MLflow wrote: its folders, its databases, its servers. MLflow need not be there.

``found`` says what a source can tell, ``folders``, ``databases`` and ``servers`` read one each,
``files`` reads artifacts, ``bringing`` writes all of it here, once.
"""
