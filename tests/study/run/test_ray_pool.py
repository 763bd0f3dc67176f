"""A study on a Ray cluster of this machine: the same table, whatever node is lost."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from support.quick_start import start as quick
from support.seven_runs import RUNS, content, times_done, wait_for, write_seven
from support.study_command import results, start

from mpt.cli.main import main
from mpt.study.run.ray_pool import Cluster
from mpt.util.distribution import install
from mpt.util.errors import UserError

try:
    from ray.cluster_utils import Cluster as LocalCluster
except ImportError:
    LocalCluster = None


@pytest.fixture(scope="module")
def file(tmp_path_factory, model_folder) -> Path:
    return write_seven(tmp_path_factory.mktemp("study"), model_folder("t5"))


@pytest.mark.slow
@pytest.mark.skipif(LocalCluster is None, reason=f"Ray is not installed: {install('ray')}")
def test_a_node_is_killed_midway_and_the_study_ends_with_the_same_table(file, tmp_path):
    try:
        cluster = LocalCluster(initialize_head=True, head_node_args={"num_cpus": 0})
    except Exception as error:
        pytest.skip(f"Ray does not start on this machine: {type(error).__name__}: {error}")
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        process = start("run", file, "--out", tmp_path / "ray", "--ray", cluster.address)
        wait_for(lambda: len(results(tmp_path / "ray")) >= 2, 200)
        cluster.remove_node(nodes[0], allow_graceful=False)
        told, err = process.communicate(timeout=200)
    finally:
        cluster.shutdown()
    assert process.returncode == 0, told + err
    assert f"{RUNS} runs to do, 2 at a time" in told and "FAILED" not in told
    alone = quick(tmp_path / "told", "run", file, "--out", tmp_path / "alone", "--workers", "1")
    alone.join(100)
    assert content(tmp_path / "ray") == content(tmp_path / "alone")
    assert max(finished for _, finished in times_done(tmp_path / "ray").values()) == 1
    for name in ("scores.csv", "arg.csv"):
        assert (tmp_path / "ray/report" / name).read_text() == (tmp_path / "alone/report" / name).read_text()


def test_without_ray_a_sentence_says_how_to_get_it(file, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit) as stop:
        main(["study", "run", str(file), "--out", str(tmp_path / "out"), "--ray"])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count("\n") == 1
    assert "--ray needs Ray" in err and "pip install 'meta-prompt-tuning[ray]'" in err


@pytest.mark.parametrize(
    ("words", "share"), [(["--ray", "--gpus-per-run", "2"], "2"), (["--gpus-per-run", "0.5"], "0.5")]
)
def test_a_share_of_a_gpu_is_at_most_one_and_rays(words, share, file, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["study", "run", str(file), "--out", str(tmp_path / "out"), *words])
    assert stop.value.code == 2
    assert f"--gpus-per-run {share}: a number from 0 to 1, and only with --ray" in capsys.readouterr().err


class FakeRay:
    """The few words of Ray with which a cluster is sized up."""

    def __init__(self, *nodes: dict[str, float]) -> None:
        self.found = [{"Alive": True, "Resources": node} for node in nodes]

    def init(self, **_: object) -> None:
        pass

    def nodes(self) -> list[dict[str, object]]:
        return [*self.found, {"Alive": False, "Resources": {"CPU": 99.0, "GPU": 9.0}}]


@pytest.mark.parametrize(
    ("nodes", "share", "places", "share_taken"),
    [
        ([{"CPU": 4.0}, {"CPU": 2.0}, {"memory": 1.0}], None, 6, 0.0),
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 4.0}], None, 2, 1.0),
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 1.0, "GPU": 1.0}], 0.25, 9, 0.25),
        ([{"CPU": 64.0, "GPU": 1.0}], 0.1, 10, 0.1),
        ([{"CPU": 8.0, "GPU": 2.0}], 0.0, 8, 0.0),
    ],
)
def test_as_many_runs_at_once_as_nodes_have_shares_of_gpus_and_cores(
    nodes, share, places, share_taken, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "ray", FakeRay(*nodes))
    cluster = Cluster("", share, tmp_path)
    assert (cluster.places(), cluster.share) == (places, share_taken)


def test_an_address_where_nobody_listens_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", FakeRay({"CPU": 1.0}))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(UserError, match=f"no Ray cluster answers at {address} .*ray start --head"):
            Cluster(address, None, tmp_path)
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(UserError, match=f"no Ray cluster answers at {address}"):
            Cluster("", None, tmp_path)


def test_a_cluster_without_room_for_a_run_is_told(file, tmp_path, monkeypatch, capsys):
    fake = FakeRay({"CPU": 8.0})
    fake.shutdown = lambda: None
    monkeypatch.setitem(sys.modules, "ray", fake)
    with pytest.raises(SystemExit):
        main(["study", "run", str(file), "--out", str(tmp_path / "out"), "--ray", "--gpus-per-run", "0.5"])
    assert "no node of the Ray cluster has 0.5 of a GPU to give" in capsys.readouterr().err
