"""Fetching from publishers, the whole way, against a server on loopback."""

import gzip
import hashlib
import json
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from matgen_core import data
from matgen_core.data import fetching
from matgen_core.data.publishers import HOSTS, PUBLISHERS

SALT = Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
OXIDE = Structure(Lattice.cubic(3.0), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


class Publisher:
    """A server on loopback: `answer(path, query, headers)` gives (status, body, length announced)."""

    def __init__(self):
        self.requests = []
        self.answer = lambda path, query, headers: (404, b"", None)
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                publisher.requests.append((parts.path, query))
                status, body, length = publisher.answer(parts.path, query, self.headers)
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.hosts = dict.fromkeys(HOSTS, self.url)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def publisher():
    running = Publisher()
    yield running
    running.close()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MATGEN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MP_API_KEY", "a-key")
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    return tmp_path / "data"


def publish(monkeypatch, name, bodies, rows, **changes):
    """Register these bodies as the public original of a data set, with their real checksums."""
    original = PUBLISHERS[name]
    files = tuple(
        (path, None if known is None else hashlib.sha256(body).hexdigest())
        for (path, known), body in zip(original.files, bodies, strict=True)
    )
    monkeypatch.setitem(PUBLISHERS, name, replace(original, files=files, rows=rows, **changes))
    return {path: body for (path, _), body in zip(files, bodies, strict=True)}


def json_table(**columns):
    names = list(columns)
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return gzip.compress(json.dumps({"index": list(range(len(rows))), "columns": names, "data": rows}).encode())


def refused(name, publisher, line, **options):
    with pytest.raises(ValueError, match=line) as caught:
        data.fetch(name, progress=False, hosts=publisher.hosts, **options)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


# --- whole files -----------------------------------------------------------------------------------------


def test_every_public_source_is_registered():
    assert set(PUBLISHERS) <= set(data.DATASETS)
    for entry in PUBLISHERS.values():
        assert entry.host in HOSTS
    # What cannot be fetched is said, with where to get it.
    for name in set(data.DATASETS) - set(PUBLISHERS):
        with pytest.raises(ValueError, match=f"https://.*matgen data import {name} PATH"):
            data.fetch(name)
    with pytest.raises(ValueError, match="unknown data set 'nothing'"):
        data.fetch("nothing")


def test_phase_fields_arrive_in_the_registered_form(folder, publisher, monkeypatch):
    text = b"Cl Li S Sn\nC I Mo O\nAs As Cd Cl\n"
    bodies = publish(monkeypatch, "icsd2017_quaternary_two_anion", [text], rows=3)
    publisher.answer = lambda path, query, headers: (200, bodies[path], None)
    fetched = data.fetch("icsd2017_quaternary_two_anion", progress=False, hosts=publisher.hosts)
    assert fetched.table["phase_field"].tolist() == ["Cl-Li-S-Sn", "C-I-Mo-O", "As-As-Cd-Cl"]
    assert data.path_of("icsd2017_quaternary_two_anion").read_bytes() == (
        b"phase_field\nCl-Li-S-Sn\nC-I-Mo-O\nAs-As-Cd-Cl\n"
    )


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("icsd2017_quaternary_two_anion", None),
        ("magpie_37", None),
        ("published_scores_training", "Phase fields,     scores,     Norm. scores,"),
        ("published_scores_candidates_303", "Phase fields,     scores,     Norm. score,"),
    ],
)
def test_the_published_text_becomes_the_registered_file(name, header, tmp_path):
    """From the installed file back to the publisher's text: its checksum, and the way forth again."""
    if not data.path_of(name).is_file() or not data.load(name).is_registered:
        pytest.skip(f"the registered file of {name} is not installed in {data.root()}")
    lines = data.path_of(name).read_text().splitlines()
    if header is not None:
        cells = [line.split(",") for line in lines[1:]]
        lines = [header, *(f"{a.replace('-', ' '):<16}, {b:>6}, {c:>8}," for a, b, c in cells)]
    elif name == "magpie_37":
        lines[0] = lines[0].replace("element", "Elements", 1)
    else:
        lines = [line.replace("-", " ") for line in lines[1:]]
    published = tmp_path / "published"
    published.write_text("\n".join(lines) + "\n")
    [(_, sha256)] = PUBLISHERS[name].files
    assert hashlib.sha256(published.read_bytes()).hexdigest() == sha256
    again = tmp_path / "again.csv"
    PUBLISHERS[name].convert([published]).to_csv(again, index=False, lineterminator="\n")
    assert hashlib.sha256(again.read_bytes()).hexdigest() == data.DATASETS[name].sha256


def test_matbench_and_matminer_tables(folder, publisher, monkeypatch):
    crystals = [SALT.as_dict(), OXIDE.as_dict()]
    bodies = publish(
        monkeypatch, "matbench_jdft2d", [json_table(structure=crystals, exfoliation_en=[63.6, 12.0])], rows=2
    )
    bodies |= publish(
        monkeypatch,
        "jarvis_2d",
        [
            json_table(
                structure=crystals,
                jid=["JVASP-1", "JVASP-2"],
                exfoliation_en=[63.6, None],
                e_form=[-1.0, -2.0],
                **{"gap opt": [8.0, 1.0], "gap tbmbj": [9.0, 2.0]},
            )
        ],
        rows=2,
    )
    bodies |= publish(
        monkeypatch,
        "mp_dielectric",
        [json_table(mpid=["mp-1", "mp-2"], structure=crystals, eps_electronic=[4.0, 9.0], eps_total=[6.0, 20.0])],
        rows=2,
    )
    bodies |= publish(
        monkeypatch,
        "mp_hull_2018",
        [json_table(mpid=["mp-1"], formula=["NaN"], e_hull=[0.1], e_form=[-0.2], other=[1])],
        rows=1,
    )
    publisher.answer = lambda path, query, headers: (200, bodies[path], None)

    def fetch(name):
        return data.fetch(name, progress=False, hosts=publisher.hosts).table

    table = fetch("matbench_jdft2d")
    assert table["formula"].tolist() == ["Cl1Na1", "O1V1"]
    assert table["exfoliation_energy_mev_per_atom"].tolist() == [63.6, 12.0]
    table = fetch("jarvis_2d")
    assert data.structure(table.iloc[0]).matches(SALT)
    assert np.isnan(table["exfoliation_energy_mev_per_atom"][1])
    assert list(table) == list(data.DATASETS["jarvis_2d"].columns)
    table = fetch("mp_dielectric")
    assert table["refractive_index"].tolist() == [2.0, 3.0]
    assert list(table) == list(data.DATASETS["mp_dielectric"].columns)
    assert fetch("mp_hull_2018")["formula"].tolist() == ["NaN"]


def test_perov5_reads_three_files(folder, publisher, monkeypatch):
    def part(material_id):
        row = {
            "material_id": material_id,
            "cif": SALT.to(fmt="cif"),
            "heat_all": 2.76,
            "heat_ref": 2.7,
            "dir_gap": 1.0,
            "ind_gap": 0.5,
        }
        return pd.DataFrame([row]).to_csv().encode()

    bodies = publish(monkeypatch, "perov5", [part(1), part(2), part(3)], rows=3)
    publisher.answer = lambda path, query, headers: (200, bodies[path], None)
    fetched = data.fetch("perov5", progress=False, hosts=publisher.hosts)
    assert list(fetched.table) == list(fetched.source.columns)
    assert fetched.table["split"].tolist() == ["train", "val", "test"]
    assert fetched.table["heat_of_formation_per_atom"].tolist() == [2.76] * 3
    assert fetched.table["indirect_gap"].tolist() == [0.5] * 3
    assert fetched.table["direct_gap"].tolist() == [1.0] * 3
    assert data.structure(fetched.table.iloc[2]).matches(SALT)


def test_a_wrong_checksum_keeps_nothing(folder, publisher, monkeypatch):
    publish(monkeypatch, "icsd2017_quaternary_two_anion", [b"Cl Li S Sn\n"], rows=1)
    publisher.answer = lambda path, query, headers: (200, b"Cl Li S Te\n", None)
    refused("icsd2017_quaternary_two_anion", publisher, "does not have the checksum")
    assert files_in(folder) == []


def test_what_was_installed_survives_a_failed_fetch(folder, publisher, monkeypatch):
    bodies = publish(monkeypatch, "icsd2017_quaternary_two_anion", [b"Cl Li S Sn\n"], rows=1)
    publisher.answer = lambda path, query, headers: (200, bodies[path], None)
    data.fetch("icsd2017_quaternary_two_anion", progress=False, hosts=publisher.hosts)
    publisher.answer = lambda path, query, headers: (200, b"other", None)
    refused("icsd2017_quaternary_two_anion", publisher, "checksum", replace=True)
    n_requests = len(publisher.requests)
    data.fetch("icsd2017_quaternary_two_anion", progress=False, hosts=publisher.hosts)
    assert len(publisher.requests) == n_requests
    assert data.load("icsd2017_quaternary_two_anion").table["phase_field"].tolist() == ["Cl-Li-S-Sn"]


def test_an_interrupted_download_leaves_nothing(folder, publisher, monkeypatch):
    bodies = publish(monkeypatch, "magpie_37", [b"Elements,Row\nLi,2.0\n"], rows=1)
    publisher.answer = lambda path, query, headers: (200, bodies[path][:10], len(bodies[path]))
    refused("magpie_37", publisher, "connection failed")
    assert files_in(folder) == []


def test_a_changed_file_without_known_checksum_is_refused_by_its_rows(folder, publisher, monkeypatch):
    header = b"material_id,cif,heat_all,dir_gap,ind_gap\n"
    bodies = publish(monkeypatch, "perov5", [header] * 3, rows=3)
    publisher.answer = lambda path, query, headers: (200, bodies[path], None)
    refused("perov5", publisher, "0 rows came where 3 were expected")
    publisher.answer = lambda path, query, headers: (200, b"id\n1\n", None)
    refused("perov5", publisher, "not in the expected format")
    assert files_in(folder) == []


@pytest.mark.parametrize(("status", "line"), [(404, "answered 404"), (500, "answered 500"), (403, "MP_API_KEY")])
def test_a_refusal_is_one_line(folder, publisher, status, line):
    publisher.answer = lambda path, query, headers: (status, b"<html>no</html>", None)
    for name in ("matbench_jdft2d", "mp_vo", "aflow_binaries"):
        refused(name, publisher, line)
    assert files_in(folder) == []


def test_no_network_is_one_line(folder, publisher):
    publisher.close()
    for name in ("matbench_jdft2d", "mp_vo"):
        refused(name, publisher, "connection failed")


# --- records page by page --------------------------------------------------------------------------------


def summary(number, crystal=OXIDE, **changes):
    return {
        "material_id": f"mp-{number}",
        "formula_pretty": crystal.composition.reduced_formula,
        "chemsys": crystal.chemical_system,
        "nsites": len(crystal),
        "nelements": 2,
        "structure": crystal.as_dict(),
        "volume": crystal.volume,
        "symmetry": {"number": 221},
        "formation_energy_per_atom": -1.5,
        "energy_above_hull": 0.25,
        "band_gap": None,
        "bulk_modulus": {"vrh": 200.0},
        "shear_modulus": None,
        "theoretical": False,
        "homogeneous_poisson": 0.3,
    } | changes


def materials_project(records):
    def answer(path, query, headers):
        if headers["X-API-KEY"] != "a-key":
            return 401, {}, None
        start = int(query["_skip"])
        page = records[start : start + int(query["_limit"])]
        return 200, {"data": page, "meta": {"total_doc": len(records)}}, None

    return answer


def test_materials_project_pages(folder, publisher, monkeypatch):
    monkeypatch.setattr(fetching, "PAGE", 2)
    publisher.answer = materials_project([summary(number) for number in range(5)])
    fetched = data.fetch("mp_vo", progress=False, hosts=publisher.hosts)
    assert [query["_skip"] for _, query in publisher.requests] == ["0", "2", "4"]
    assert publisher.requests[0][1]["chemsys"] == "O-V"
    assert list(fetched.table) == list(fetched.source.columns)
    row = fetched.table.iloc[4]
    assert row["material_id"] == "mp-4"
    assert data.structure(row).matches(OXIDE)
    assert (row["energy_above_hull"], row["K_VRH_2025"], row["icsd_flag"]) == (0.25, 200.0, 1)
    assert np.isnan(row["band_gap"])
    assert np.isnan(row["K_VRH_2018"])
    assert not fetched.is_registered


def test_materials_project_filters(folder, publisher):
    hydride = Structure(Lattice.cubic(3), ["Ti", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    water = Structure(Lattice.cubic(3), ["O", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    publisher.answer = materials_project([summary(1, hydride), summary(2, water)])
    fetched = data.fetch("mp_metal_hydrides", progress=False, hosts=publisher.hosts)
    assert fetched.table["chemsys"].tolist() == ["H-Ti"]
    airy = Structure(Lattice.cubic(9), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    publisher.answer = materials_project([summary(1), summary(2, airy)])
    fetched = data.fetch("mp_structures", progress=False, hosts=publisher.hosts)
    assert fetched.table["material_id"].tolist() == ["mp-1"]
    stiff = {"bulk_modulus": {"vrh": 100.0}, "shear_modulus": {"vrh": 50.0}}
    wild = {"bulk_modulus": {"vrh": 9e5}, "shear_modulus": {"vrh": 50.0}}
    publisher.answer = materials_project([summary(1, **stiff), summary(2, **wild), summary(3)])
    fetched = data.fetch("mp_binary_elasticity", progress=False, hosts=publisher.hosts)
    assert fetched.table["bulk_modulus"].tolist() == [100.0]
    assert list(fetched.table) == list(fetched.source.columns)


def test_a_missing_or_wrong_key_is_one_line(folder, publisher, monkeypatch):
    publisher.answer = materials_project([summary(1)])
    monkeypatch.setenv("MP_API_KEY", "another")
    refused("mp_vo", publisher, "check MP_API_KEY")
    monkeypatch.delenv("MP_API_KEY")
    publisher.requests.clear()
    refused("mp_vo", publisher, "set MP_API_KEY")
    assert publisher.requests == []


def test_an_answer_that_ends_early_is_refused(folder, publisher, monkeypatch):
    monkeypatch.setattr(fetching, "PAGE", 2)
    whole = materials_project([summary(number) for number in range(5)])

    def answer(path, query, headers):
        if int(query["_skip"]) >= 2:
            return 200, {"data": [], "meta": {"total_doc": 5}}, None
        return whole(path, query, headers)

    publisher.answer = answer
    refused("mp_vo", publisher, "ended after 2 of 5 records")
    publisher.answer = lambda path, query, headers: (200, b"<html>maintenance</html>", None)
    refused("mp_vo", publisher, "no JSON")
    publisher.answer = lambda path, query, headers: (200, {"detail": "moved"}, None)
    refused("mp_vo", publisher, "not in the expected format")
    assert files_in(folder) == []


def test_a_busy_server_is_asked_again(folder, publisher):
    whole = materials_project([summary(1)])
    publisher.answer = lambda *request: (503, {}, None) if len(publisher.requests) == 1 else whole(*request)
    assert len(data.fetch("mp_vo", progress=False, hosts=publisher.hosts)) == 1
    assert len(publisher.requests) == 2


def optimade(records, size, link=lambda url: url):
    def answer(path, query, headers):
        start = int(query.get("page_offset", 0))
        following = f"http://elsewhere.invalid/v1/structures?page_offset={start + size}&page_limit={size}"
        links = {"next": link(following) if start + size < len(records) else None}
        meta = {"data_returned": len(records)}
        return 200, {"data": records[start : start + size], "links": links, "meta": meta}, None

    return answer


def optimade_record(number, crystal, **facts):
    attributes = {
        "lattice_vectors": crystal.lattice.matrix.tolist(),
        "cartesian_site_positions": crystal.cart_coords.tolist(),
        "species_at_sites": [site.specie.symbol for site in crystal],
    }
    return {"id": number, "type": "structures", "attributes": attributes | facts}


@pytest.mark.parametrize("link", [lambda url: url, lambda url: {"href": url}])
def test_aflow_pages(folder, publisher, link):
    records = [optimade_record(number, SALT) for number in range(5)]
    records.append(optimade_record(5, SALT, species_at_sites=["vacancy", "Cl"]))
    records.append(optimade_record(6, SALT, lattice_vectors=None))
    publisher.answer = optimade(records, 3, link)
    fetched = data.fetch("aflow_binaries", progress=False, hosts=publisher.hosts)
    assert fetched.table["material_id"].tolist() == ["0", "1", "2", "3", "4"]
    assert data.structure(fetched.table.iloc[0]).matches(SALT)
    assert [path for path, _ in publisher.requests] == ["/v1/structures"] * 3
    assert publisher.requests[0][1]["filter"] == "nelements=2 AND nsites<=20"


def test_oqmd_keeps_the_lowest_entry_of_a_formula(folder, publisher):
    records = [
        optimade_record(1, SALT, _oqmd_delta_e=-1.0, _oqmd_band_gap=5.0),
        optimade_record(2, SALT, _oqmd_delta_e=-2.0, _oqmd_band_gap=6.0),
        optimade_record(3, OXIDE, _oqmd_delta_e=None, _oqmd_band_gap=None),
    ]
    publisher.answer = optimade(records, 2)
    table = data.fetch("oqmd_compositions", progress=False, hosts=publisher.hosts).table
    assert table["formula"].tolist() == ["Cl1Na1", "O1V1"]
    assert table["formation_energy_per_atom"][0] == -2.0
    assert table["band_gap"][0] == 6.0
    assert table["volume_per_atom"].tolist() == pytest.approx([32.0, 13.5])
    assert np.isnan(table["formation_energy_per_atom"][1])


def test_endless_pages_are_refused(folder, publisher):
    page = {"data": [optimade_record(1, SALT)], "links": {"next": "http://x/?page_offset=0"}, "meta": {}}
    publisher.answer = lambda path, query, headers: (200, page, None)
    refused("aflow_binaries", publisher, "repeats its page")
    short = {"data": [optimade_record(1, SALT)], "links": {"next": None}, "meta": {"data_returned": 9}}
    publisher.answer = lambda path, query, headers: (200, short, None)
    refused("aflow_binaries", publisher, "ended after 1 of 9 records")
    assert files_in(folder) == []


def test_progress_goes_to_standard_error(folder, publisher, capsys):
    publisher.answer = materials_project([summary(1), summary(2)])
    data.fetch("mp_vo", progress=True, hosts=publisher.hosts)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "mp_vo" in captured.err
    assert "2/2" in captured.err


def test_no_class_that_a_file_names_is_imported(folder, publisher, monkeypatch, tmp_path):
    (tmp_path / "named_by_a_file.py").write_text("class Structure:\n    from_dict = dict\n")
    monkeypatch.syspath_prepend(tmp_path)
    named = {"@module": "named_by_a_file", "@class": "Structure"}
    bodies = publish(
        monkeypatch, "matbench_jdft2d", [json_table(structure=[SALT.as_dict() | named], exfoliation_en=[1.0])], rows=1
    )
    publisher.answer = lambda path, query, headers: (200, bodies[path], None)
    table = data.fetch("matbench_jdft2d", progress=False, hosts=publisher.hosts).table
    assert table["formula"].tolist() == ["Cl1Na1"]
    assert sys.modules.get("named_by_a_file") is None
