"""FastAPI on uvicorn as one writes it by hand: pydantic checks the body, scikit-learn scores."""

import sys

import numpy as np
import uvicorn
from fastapi import FastAPI
from models import saved
from pydantic import BaseModel

model = saved(sys.argv[1], sys.argv[3])
app = FastAPI()


class Rows(BaseModel):
    columns: list[str]
    data: list[list[float]]


@app.post("/predict")
def predict(rows: Rows) -> dict[str, list[float]]:
    return {"scores": model.predict_proba(np.asarray(rows.data))[:, 1].tolist()}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
