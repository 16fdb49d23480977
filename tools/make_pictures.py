"""Make the pictures of the documents: log real scikit-learn runs, open the pages, take pictures.

Usage: python tools/make_pictures.py [FOLDER]

Small networks learn to read the handwritten digits that come with scikit-learn, as a sweep and as
a tuning with trials; the pages that show them are photographed by the chromium of the system.
The figures in the pictures are those of the machine that this was run on.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
WIDTH = 1280
MOST_BYTES = 300_000
EPOCHS = 24


def main() -> None:
    """Write runs.png, run.png and compare.png."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "mainspring.toml").write_text("")
        os.chdir(place)
        os.environ["LOGNAME"] = "me"  # the pictures are of nobody's machine
        shown = log_runs()
        with served(Path(place)) as url:
            take(url, shown, folder)


# ---------------------------------------------------------------- runs


def log_runs() -> str:
    """Log a sweep and a tuning; return the run whose page is shown."""
    import mainspring as ms

    with ms.run("digits", name="tune the network", group="tuning", params={"trials": 6}) as above:
        above.start()
        for trial in range(6):
            rate = 10 ** (-3.2 + trial * 0.3)
            learn(f"trial {trial}", rate, width=48, decay=1e-4, group="tuning", charts=False)
    last = ""
    for rate, width, decay in itertools.product(
        (1e-3, 3e-3, 1e-2, 3e-2), (8, 16, 48), (1e-5, 1e-2)
    ):
        last = learn(f"width {width}, rate {rate:g}", rate, width, decay, "sweep", charts=True)
    return last


def learn(name: str, rate: float, width: int, decay: float, group: str, *, charts: bool) -> str:
    """Train one network, an epoch at a time, and log how it goes; return the run's id."""
    from sklearn.datasets import load_digits
    from sklearn.metrics import accuracy_score, log_loss
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    import mainspring as ms

    data = load_digits()
    x, x_new, y, y_new = train_test_split(data.data / 16, data.target, random_state=4)
    params = {"rate": rate, "width": width, "decay": decay, "seed": 4}
    model = MLPClassifier((width,), learning_rate_init=rate, alpha=decay, random_state=4)
    with ms.run("digits", name=name, params=params, group=group) as run:
        for epoch in range(EPOCHS):
            model.partial_fit(x, y, classes=range(10))
            told = model.predict_proba(x_new)
            run.log(
                {
                    "loss": model.loss_,
                    "val/loss": log_loss(y_new, told, labels=range(10)),
                    "accuracy": accuracy_score(y_new, told.argmax(axis=1)),
                },
                step=epoch,
            )
        if charts:
            draw(run, y_new, model.predict(x_new))
        return str(run.id)


def draw(run: Any, truth: Any, found: Any) -> None:
    """Keep the confusion matrix of a run as a picture and as a table."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from sklearn.metrics import ConfusionMatrixDisplay, classification_report, confusion_matrix

    display = ConfusionMatrixDisplay(confusion_matrix(truth, found))
    figure, axes = pyplot.subplots(figsize=(5.2, 4.2), dpi=100)
    display.plot(ax=axes, cmap="Blues", colorbar=False)
    figure.tight_layout()
    figure.savefig("confusion.png")
    pyplot.close(figure)
    run.log_artifact("confusion.png", to="plots/confusion.png")
    run.log_text(classification_report(truth, found), "report.txt")
    rows = "\n".join(f"{n},{a},{b}" for n, (a, b) in enumerate(zip(truth, found, strict=True)))
    run.log_text(f"row,truth,found\n{rows}\n", "predictions.csv")


# ---------------------------------------------------------------- pictures


@contextmanager
def served(place: Path) -> Iterator[str]:
    """Serve the home of a folder and yield its URL."""
    from mainspring.ground.settings import load
    from mainspring.web.app import build_app
    from mainspring.web.server import bind, serve
    from mainspring.workspace.opening import open_workspace

    ws = open_workspace(load({}, start=place, environ=dict(os.environ)))
    listening, stop, ready = bind("127.0.0.1", 0), threading.Event(), threading.Event()
    server = threading.Thread(target=serve, args=(build_app(ws), listening, ready.set, stop))
    server.start()
    try:
        ready.wait(20)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        stop.set()
        server.join()
        listening.close()
        ws.close()


def take(url: str, run: str, folder: Path) -> None:
    """Take the three pictures.

    Raises:
        SystemExit: if one is larger than a document should carry.
    """
    from playwright.sync_api import expect, sync_playwright

    pages = {
        "runs": ("/runs?experiment=digits&order=-metrics.accuracy&spark=accuracy", 800),
        "run": (f"/runs/{run}?path=plots/confusion.png", 1420),
        "compare": ("/compare?experiment=digits&filter=group+%3D+%27sweep%27&by=accuracy", 960),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, (path, height) in pages.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": height})
            page.goto(url + path)
            expect(page.locator("#live")).to_have_text("live", timeout=20_000)
            target = folder / f"{name}.png"
            page.screenshot(path=target)
            size = target.stat().st_size
            print(f"{target}: {size:,} bytes")
            if size > MOST_BYTES:
                raise SystemExit(f"{target} is larger than {MOST_BYTES:,} bytes")
        browser.close()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # that a network has not converged is the point
    main()
