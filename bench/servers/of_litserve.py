"""LitServe with one worker, batching what waits as its own documentation advises."""

import sys

import litserve as ls
import numpy as np
from models import saved


class Api(ls.LitAPI):
    def setup(self, device):
        self.model = saved(sys.argv[1], sys.argv[3])

    def decode_request(self, request):
        return np.asarray(request["data"])

    def predict(self, rows):
        return self.model.predict_proba(rows)[:, 1]

    def encode_response(self, scores):
        return {"scores": scores.tolist()}


if __name__ == "__main__":
    server = ls.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error"
    )
