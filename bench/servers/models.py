"""The models that every server serves: made from one seed, in each one's own environment."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

COLUMNS = [f"x{place}" for place in range(12)]
MODELS = ("logistic", "forest", "boosting")
ROWS = 3_000


def data(rows: int = ROWS) -> tuple[list[list[float]], list[int]]:
    """Return features of shape (rows, 12) and a 0 or 1 for each row."""
    chance = random.Random(7)
    features = [[chance.gauss(0, 1) for _ in COLUMNS] for _ in range(rows)]
    return features, [int(row[0] + row[1] * row[2] + chance.gauss(0, 0.5) > 0) for row in features]


def estimator(name: str) -> Any:
    """Return an estimator, not fitted."""
    if name == "logistic":
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), LogisticRegression())
    if name == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(100, min_samples_leaf=5, random_state=0, n_jobs=1)
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=100, random_state=0)


def fitted(name: str) -> Any:
    """Return an estimator that has learnt the rows."""
    import numpy as np

    features, labels = data()
    return estimator(name).fit(np.asarray(features), labels)


def saved(name: str, folder: str) -> Any:
    """Return the fitted estimator kept in a folder, made first where it is not there."""
    import joblib

    path = Path(folder) / f"{name}.joblib"
    if not path.exists():
        joblib.dump(fitted(name), path)
    return joblib.load(path)


if __name__ == "__main__":
    saved(sys.argv[1], sys.argv[2])
