"""MLServer with its scikit-learn runtime, inference in the server's own process."""

import json
import sys
import tempfile
from pathlib import Path

from mlserver.cli import main
from models import saved

saved(sys.argv[1], sys.argv[3])
folder = Path(tempfile.mkdtemp())
settings = {"name": "bench", "implementation": "mlserver_sklearn.SKLearnModel"}
settings["parameters"] = {"uri": str(Path(sys.argv[3]) / f"{sys.argv[1]}.joblib"), "version": "1"}
(folder / "model-settings.json").write_text(json.dumps(settings))
port = int(sys.argv[2])
server = {"host": "127.0.0.1", "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
server |= {"parallel_workers": 0, "debug": False}
(folder / "settings.json").write_text(json.dumps(server))
sys.argv = ["mlserver", "start", str(folder)]
main()
