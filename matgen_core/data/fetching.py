"""Get a data set from its publisher: whole files with checksums, or records page by page.

Nothing is installed until every file or record has come, has been checked and converted.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pooch
import requests
from pandas import DataFrame
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from matgen_core.data.dataset import Dataset
from matgen_core.data.publishers import HOSTS, PUBLISHERS, Download, Query
from matgen_core.data.registry import DATASETS, path_of
from matgen_core.data.store import load, write_table

PAGE = 500  # records; the publishers' limit is 1,000
_TIMEOUT = 60  # seconds without a byte
_CHUNK = 1 << 16  # bytes


def fetch(
    name: str, *, progress: bool = True, replace: bool = False, hosts: Mapping[str, str] | None = None
) -> Dataset:
    """Download the public original of a data set, convert it and install it in the data folder.

    The public original may hold more rows than the registered file, and the Materials Project interface
    gives today's values; `Dataset.is_registered` of the result says which it is.

    Args:
        name: A key of `DATASETS` that has a public source.
        progress: Whether to draw a progress bar on standard error.
        replace: Whether an installed file is fetched anew; else it is returned as it is.
        hosts: Other base addresses, for a mirror: key of `HOSTS` to address.

    Returns:
        The data set as installed.

    Raises:
        ValueError: In one line: no such data set, no public source, a missing key, a wrong checksum, a
            server's refusal, a broken connection, an incomplete answer. Nothing is installed then.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; with a public source: {', '.join(PUBLISHERS)}")
    publisher = PUBLISHERS.get(name)
    if publisher is None:
        raise ValueError(
            f"{name} has no source that can be fetched; get it from {DATASETS[name].url} and run: "
            f"matgen data import {name} PATH"
        )
    if path_of(name).is_file() and not replace:
        return load(name)
    address = (hosts or {}).get(publisher.host, HOSTS[publisher.host]).rstrip("/")
    with _one_line(name, address):
        if isinstance(publisher, Download):
            table = _download(name, publisher, address, progress)
        elif publisher.host == "materials_project":
            table = publisher.convert(_summary_records(name, publisher, address, progress))
        else:
            table = publisher.convert(_optimade_records(name, publisher, address, progress))
    missing = [column for column in DATASETS[name].columns if column not in table]
    if missing or table.empty:
        raise ValueError(
            f"{name}: the publisher's answer has {len(table)} rows and lacks {missing or 'no column'}; "
            "its format has changed, nothing was installed"
        )
    write_table(table, path_of(name), DATASETS[name])
    return load(name)


def _download(name: str, publisher: Download, address: str, progress: bool) -> DataFrame:
    with TemporaryDirectory(prefix="matgen-") as folder:
        paths = []
        for number, (path, sha256) in enumerate(publisher.files):
            paths.append(Path(folder) / f"{number}-{path.rsplit('/', 1)[-1]}")
            _get_file(name, address + path, sha256, paths[-1], progress)
        table = publisher.convert(paths)
    if len(table) != publisher.rows:
        raise ValueError(
            f"{name}: {len(table)} rows came where {publisher.rows} were expected; the publisher changed the "
            "file, nothing was installed"
        )
    return table


def _get_file(name: str, url: str, sha256: str | None, path: Path, progress: bool) -> None:
    """Download one file; pooch writes to a temporary name, and drops it on a wrong checksum."""
    pooch.get_logger().setLevel(logging.WARNING)  # its notices would cut through the progress bar
    try:
        pooch.retrieve(
            url,
            known_hash=None if sha256 is None else f"sha256:{sha256}",
            fname=path.name,
            path=path.parent,
            downloader=lambda url, file, _: _stream(name, url, file, progress),
        )
    except ValueError as error:
        if isinstance(error, requests.RequestException):
            raise
        raise ValueError(
            f"{name}: {url} does not have the checksum {sha256}; the download is broken or the publisher "
            "changed the file, nothing was installed; try again"
        ) from error


def _stream(name: str, url: str, path: str, progress: bool) -> None:
    """Download for pooch, with our retries; its own downloader leaves the socket of a refusal open."""
    with _session() as session, session.get(url, stream=True, timeout=_TIMEOUT) as response:
        response.raise_for_status()
        size = int(response.headers.get("Content-Length", 0)) or None
        # The length is that of the compressed answer where the server compresses, so count what is sent.
        with (
            tqdm(desc=name, total=size, unit="B", unit_scale=True, disable=not progress) as bar,
            open(path, "wb") as file,
        ):
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(response.raw.tell() - bar.n)


def _session() -> requests.Session:
    """A session that tries a busy server twice more."""
    session = requests.Session()
    retry = Retry(total=2, backoff_factor=0.2, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _page(session: requests.Session, url: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    response = session.get(url, params=dict(parameters), timeout=_TIMEOUT)
    response.raise_for_status()
    return response.json()


def _summary_records(name: str, query: Query, address: str, progress: bool) -> Iterator[Mapping[str, Any]]:
    key = os.environ.get("MP_API_KEY", "").strip()
    if not key:
        raise ValueError(
            f"{name} comes from the Materials Project, which wants your key: get one at "
            "https://next-gen.materialsproject.org/api and set MP_API_KEY to it"
        )
    n_read, n_total = 0, 1
    with _session() as session, tqdm(desc=name, unit=" records", disable=not progress) as bar:
        session.headers["X-API-KEY"] = key
        while n_read < n_total:
            window = {"_limit": str(PAGE), "_skip": str(n_read)}
            page = _page(session, address + query.endpoint, {**query.parameters, **window})
            bar.total = n_total = int(page["meta"]["total_doc"])
            if not page["data"] and n_read < n_total:
                raise ValueError(f"{name}: the answers ended after {n_read} of {n_total} records; try again")
            yield from page["data"]
            n_read += len(page["data"])
            bar.update(len(page["data"]))


def _optimade_records(name: str, query: Query, address: str, progress: bool) -> Iterator[Mapping[str, Any]]:
    parameters = {**query.parameters, "page_limit": str(PAGE)}
    n_read = 0
    with _session() as session, tqdm(desc=name, unit=" records", disable=not progress) as bar:
        while True:
            page = _page(session, address + query.endpoint, parameters)
            bar.total = n_total = page["meta"].get("data_returned")
            yield from page["data"]
            n_read += len(page["data"])
            bar.update(len(page["data"]))
            link = page["links"].get("next")
            link = link.get("href") if isinstance(link, Mapping) else link
            if not link:
                break
            # Only the query of the link is followed: publishers announce other hosts and plain http in it.
            following = dict(parse_qsl(urlsplit(link).query))
            if not page["data"] or following == parameters:
                raise ValueError(f"{name}: {query.host} repeats its page at record {n_read}; try again later")
            parameters = following
        if n_total is not None and n_read < n_total:
            raise ValueError(f"{name}: the answers ended after {n_read} of {n_total} records; try again")


@contextmanager
def _one_line(name: str, address: str) -> Iterator[None]:
    """Turn what a network or a changed format can raise into one line that says what to do."""
    try:
        yield
    except requests.HTTPError as error:
        status = None if error.response is None else error.response.status_code
        advice = "check MP_API_KEY" if status in (401, 403) else "try again later"
        raise ValueError(f"{name}: {address} answered {status}; nothing was installed; {advice}") from error
    except requests.JSONDecodeError as error:
        raise ValueError(f"{name}: the publisher's answer is no JSON; nothing was installed") from error
    except requests.RequestException as error:
        raise ValueError(
            f"{name}: the connection failed ({type(error).__name__}); nothing was installed; check the "
            "network and try again"
        ) from error
    except (KeyError, TypeError, AttributeError, OSError) as error:
        raise ValueError(
            f"{name}: the publisher's answer is not in the expected format ({type(error).__name__}: "
            f"{error}); nothing was installed"
        ) from error
