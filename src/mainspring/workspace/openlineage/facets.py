"""The parts of OpenLineage events: facets of runs, jobs and datasets, from what is stored.

Source: the facets of the OpenLineage specification, https://openlineage.io/spec/facets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from mainspring.experiments.datasets import Use
from mainspring.experiments.lineage import uri_of
from mainspring.ground.objects import Version
from mainspring.ground.version import __version__

PRODUCER = f"urn:mainspring:{__version__}"
SPEC = "https://openlineage.io/spec"
#: The facets that are told, and the version of each.
_FACETS = {
    "nominalTime": ("1-0-1", "NominalTimeRunFacet"),
    "parent": ("1-2-0", "ParentRunFacet"),
    "errorMessage": ("1-0-1", "ErrorMessageRunFacet"),
    "processing_engine": ("1-1-1", "ProcessingEngineRunFacet"),
    "executionParameters": ("1-0-0", "ExecutionParametersRunFacet"),
    "jobType": ("2-0-4", "JobTypeJobFacet"),
    "sourceCodeLocation": ("1-1-0", "SourceCodeLocationJobFacet"),
    "schema": ("1-2-0", "SchemaDatasetFacet"),
    "version": ("1-0-1", "DatasetVersionDatasetFacet"),
    "dataSource": ("1-0-1", "DatasourceDatasetFacet"),
    "datasetType": ("1-0-1", "DatasetTypeDatasetFacet"),
    "documentation": ("1-1-0", "DocumentationDatasetFacet"),
    "dataQualityMetrics": ("1-0-3", "DataQualityMetricsInputDatasetFacet"),
    "outputStatistics": ("1-0-2", "OutputStatisticsOutputDatasetFacet"),
}
_MOST_PARAMS, _MOST_LETTERS = 200, 1000
#: git@host:path, which is no URL.
_SCP = re.compile(r"(?:(?P<user>[\w.-]+)@)?(?P<host>[\w.-]+):(?P<path>(?!//).+)")
Facet = dict[str, Any]


def facet(name: str, told: Mapping[str, Any]) -> Facet:
    """Return a facet with who says it and where its schema stands."""
    version, kind = _FACETS[name]
    url = f"{SPEC}/facets/{version}/{kind}.json#/$defs/{kind}"
    return {"_producer": PRODUCER, "_schemaURL": url, **told}


# ---------------------------------------------------------------- of runs


def engine() -> dict[str, Facet]:
    """Return who ran it."""
    told = {"name": "mainspring", "version": __version__, "openlineageAdapterVersion": __version__}
    return {"processing_engine": facet("processing_engine", told)}


def error(message: str, trace: str) -> Facet:
    """Return why a run failed."""
    told = {"message": message[:10_000], "programmingLanguage": "PYTHON"}
    if trace:
        told["stackTrace"] = trace[:100_000]
    return facet("errorMessage", told)


def params(given: Mapping[str, str]) -> dict[str, Facet]:
    """Return the params of a run; nothing where it has none."""
    several = [
        {"key": key, "name": key, "value": value[:_MOST_LETTERS]}
        for key, value in list(given.items())[:_MOST_PARAMS]
    ]
    if not several:
        return {}
    return {"executionParameters": facet("executionParameters", {"parameters": several})}


def code_at(tags: Mapping[str, str]) -> dict[str, Facet]:
    """Return where the code of a run stands; nothing where no remote is known."""
    remote = tags.get("mainspring.git.remote")
    if not remote:
        return {}
    told = {"type": "git", "url": address(remote), "repoUrl": remote}
    for theirs, ours in (("version", "commit"), ("branch", "branch")):
        value = tags.get(f"mainspring.git.{ours}")
        told |= {theirs: value} if value else {}
    return {"sourceCodeLocation": facet("sourceCodeLocation", told)}


def address(remote: str) -> str:
    """Return where a repository is as a URL, which what git takes need not be.

    >>> address("git@example.org:team/models.git"), address("/srv/git/models.git")
    ('ssh://git@example.org/team/models.git', 'file:///srv/git/models.git')
    """
    if "://" in remote:
        return remote
    found = _SCP.fullmatch(remote)
    if found is None:
        return as_uri(remote)
    user = f"{found['user']}@" if found["user"] else ""
    return f"ssh://{user}{found['host']}/{quote(found['path'].lstrip('/'), safe='/~')}"


# ---------------------------------------------------------------- of datasets


def given(namespace: str, name: str, digest: str, sizes: Mapping[str, int]) -> Facet:
    """Return what a step gave, as a dataset whose version is its digest.

    With how large it is, where ``sizes`` (bytes and objects) are known.
    """
    facets = {
        "version": facet("version", {"datasetVersion": digest}),
        "datasetType": facet("datasetType", {"datasetType": "JOB_OUTPUT"}),
    }
    told: Facet = {"namespace": namespace, "name": name, "facets": facets}
    if sizes:
        told["outputFacets"] = {"outputStatistics": facet("outputStatistics", sizes)}
    return told


def version(one: Version, namespace: str) -> Facet:
    """Return a version of a model as a dataset."""
    facets = {
        "version": facet("version", {"datasetVersion": str(one.number)}),
        "datasetType": facet("datasetType", {"datasetType": "MODEL"}),
    }
    if one.card is not None and one.card.purpose:
        told = {"description": one.card.purpose[:_MOST_LETTERS]}
        facets["documentation"] = facet("documentation", told)
    return {"namespace": namespace, "name": f"models/{one.model}", "facets": facets}


def pinned(name: str, digest: str, namespace: str) -> Facet:
    """Return a version of data of which nothing but its name and content is known."""
    facets = {"version": facet("version", {"datasetVersion": digest})}
    return {"namespace": namespace, "name": name, "facets": facets}


def read(use: Use, namespace: str) -> Facet:
    """Return a dataset that a run read, with its version, source, schema and quality."""
    one = use.dataset
    uri = _without_password(uri_of(one.source))
    place = {"namespace": namespace, "name": one.name}
    if "://" in uri:
        parts = urlsplit(uri)
        place = {"namespace": f"{parts.scheme}://{parts.netloc}", "name": parts.path.strip("/")}
    elif uri:
        place = {"namespace": "file", "name": uri}
    facets = {
        "version": facet("version", {"datasetVersion": one.digest}),
        "documentation": facet("documentation", {"description": f"Dataset {one.name}."}),
    }
    if uri:
        facets["dataSource"] = facet("dataSource", {"name": one.name, "uri": as_uri(uri)})
    fields = [
        {"name": str(column["name"]), "type": str(column.get("type", ""))}
        for column in _columns(one.schema)
    ]
    if fields:
        facets["schema"] = facet("schema", {"fields": fields})
    quality = _quality(one.profile)
    more = {"inputFacets": {"dataQualityMetrics": quality}} if quality else {}
    return {**place, "name": place["name"] or one.name, "facets": facets, **more}


def as_uri(place: str) -> str:
    """Return a path as a URI; what is one stays, with what may not stand in one written in hex.

    >>> as_uri("data/a b.csv"), as_uri("s3://bucket/a b")
    ('file:///data/a%20b.csv', 's3://bucket/a%20b')
    """
    kept = "/:?#[]@!$&'()*+,;=%~"
    if "://" in place:
        return quote(place, safe=kept)
    return f"file://{'' if place.startswith('/') else '/'}{quote(place, safe='/~')}"


def _without_password(uri: str) -> str:
    """Return where something is without who may read it: it leaves the house."""
    if "@" not in uri or "://" not in uri:
        return uri
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _quality(profile: str | None) -> Facet | None:
    told = _decoded(profile)
    columns = {}
    for column in _columns(profile):
        found: Facet = {}
        for theirs, ours in (("nullCount", "missing"), ("distinctCount", "distinct")):
            if isinstance(column.get(ours), int):
                found[theirs] = column[ours]
        for theirs, ours in (("min", "low"), ("max", "high")):
            if isinstance(column.get(ours), int | float) and not isinstance(column[ours], bool):
                found[theirs] = column[ours]
        columns[str(column["name"])] = found
    if not columns and "rows" not in told:
        return None
    sizes = {
        theirs: told[ours]
        for theirs, ours in (("rowCount", "rows"), ("bytes", "bytes"))
        if isinstance(told.get(ours), int)
    }
    return facet("dataQualityMetrics", {**sizes, "columnMetrics": columns})


def _decoded(text: str | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {}  # another client may have written it
    return found if isinstance(found, dict) else {}


def _columns(text: str | None) -> list[dict[str, Any]]:
    found = _decoded(text).get("columns")
    several = found if isinstance(found, list) else []
    return [one for one in several if isinstance(one, dict) and "name" in one]
