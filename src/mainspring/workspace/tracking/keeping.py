"""Keep what a script has in hand with its run: figures, tables, datasets, fitted models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


class Keeping(ABC):
    """What a run keeps beyond metrics, params and files."""

    @abstractmethod
    def log_bytes(self, data: bytes, to: str) -> None:
        """Keep bytes as a file of the run."""

    @abstractmethod
    def log_extra(self, subject: str, data: dict[str, Any]) -> None:
        """Log what has a table of its own."""

    def log_figure(self, figure: Any, to: str) -> None:
        """Keep a figure, in the form that the suffix of ``to`` names: ``plots/roc.png``.

        A matplotlib figure or axes becomes .png, .svg, .pdf or .jpg; a plotly figure .json,
        .html (whole, works offline) or, with the package kaleido, an image; a Pillow image .png
        and the like. Equal figures give equal bytes.

        Raises:
            BadInputError: for what is no figure, or a suffix it cannot be written as.
        """
        from mainspring.experiments import figures

        self.log_bytes(figures.write(figure, to), to)

    def log_table(self, table: Any, to: str) -> None:
        """Keep a table: polars, pandas, pyarrow, a list of dicts, or a dict of lists.

        ``to`` ends in .parquet, .csv or .json. Its first 50 rows are kept beside it for reading,
        as ``name.preview.json``. A pandas index of its own becomes a column.

        Raises:
            BadInputError: for what is no table, or another suffix.
            NotExactError: if a column mixes types that no one column can hold.
        """
        from mainspring.experiments import tabular

        frame = tabular.frame_of(table)
        data = tabular.write(frame, to)
        self.log_bytes(data, to)
        self.log_bytes(tabular.preview(frame), str(PurePosixPath(to).with_suffix(".preview.json")))
