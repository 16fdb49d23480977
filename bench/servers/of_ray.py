"""Ray Serve with one replica of one CPU."""

import sys
import time

import ray
from models import saved
from ray import serve


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0.5})
class Bench:
    def __init__(self, name, folder):
        self.model = saved(name, folder)

    async def __call__(self, request):
        import numpy as np

        rows = np.asarray((await request.json())["data"])
        return {"scores": self.model.predict_proba(rows)[:, 1].tolist()}


if __name__ == "__main__":
    ray.init(
        _node_ip_address="127.0.0.1", include_dashboard=False, num_cpus=2, log_to_driver=False
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2])})
    serve.run(Bench.bind(sys.argv[1], sys.argv[3]), route_prefix="/predict")
    while True:
        time.sleep(1)
