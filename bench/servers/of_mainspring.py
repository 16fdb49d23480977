"""Our endpoint as it is: a home with a judged champion, its process, capture and metrics on."""

import os
import subprocess
import sys
from pathlib import Path

home = Path(sys.argv[3]) / f"home-{sys.argv[1]}"
os.environ["MAINSPRING_HOME"] = str(home)
if sys.argv[2] == "0":  # only make the home ready
    import polars as pl
    from models import COLUMNS, data, estimator

    import mainspring as ms

    features, labels = data()
    frame = pl.DataFrame(features, schema=COLUMNS, orient="row").with_columns(
        pl.Series("y", labels)
    )
    rows = Path(sys.argv[3]) / "rows.parquet"
    frame.write_parquet(rows)
    model = estimator(sys.argv[1]).fit(frame.select(COLUMNS).to_pandas(), labels)
    with ms.run("bench") as run:
        run.log_model(model, "bench", example=frame, target="y")
    for words in (
        ["models", "register", "last/bench", "bench"],
        ["judge", "bench/1", "--rows", str(rows), "--target", "y"],
        ["promote", "bench/1", "--reason", "It is measured."],
        ["serve", "bench"],
    ):
        subprocess.run([sys.executable, "-m", "mainspring", *words], check=True)
    sys.exit()
os.execv(sys.executable, [sys.executable, "-m", "mainspring.cli.processes", "endpoint", "bench"])
