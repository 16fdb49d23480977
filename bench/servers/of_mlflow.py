"""``mlflow models serve`` on a scikit-learn model with a signature, in this environment."""

import os
import sys
from pathlib import Path

folder = Path(sys.argv[3]) / f"mlflow-{sys.argv[1]}"
if sys.argv[2] == "0":  # only make the model ready
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature
    from models import COLUMNS, data, estimator

    features, labels = data()
    frame = pd.DataFrame(features, columns=COLUMNS)
    model = estimator(sys.argv[1]).fit(frame, labels)
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(frame, labels),
        pip_requirements=["scikit-learn"],
        serialization_format="cloudpickle",
    )
    sys.exit()
words = ["models", "serve", "-m", str(folder), "--env-manager", "local", "--host", "127.0.0.1"]
words += ["--port", sys.argv[2], "--workers", "1"]
os.execv(sys.executable, [sys.executable, "-m", "mlflow", *words])
