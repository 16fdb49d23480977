"""What a model is: raw rows in, scores out, and the bytes it travels as.

A model is an estimator with its feature expressions and its signature. Read first: ``model.py``
(fitting), ``package.py`` (the bytes), ``load.py`` (scoring them again).
"""

import os

# From 1.32 on onnxruntime tells its makers of its use, over the network, unless this is said
# before it is imported. Nothing here tells anybody anything unasked.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
