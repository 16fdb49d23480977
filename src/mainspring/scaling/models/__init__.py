"""What a model is: raw rows in, scores out, and the bytes it travels as.

A model is an estimator with its feature expressions and its signature. Read first: ``model.py``
(fitting), ``package.py`` (the bytes), ``load.py`` (scoring them again).
"""
