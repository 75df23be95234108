"""What is asked of a cluster is checked before anything starts, and what travels is checked where it arrives."""

import socket
from pathlib import Path
from typing import Any

import pytest

from helpers.support import assert_refused, config_with, iterdeploy, write_config
from iterdeploy.cluster import connection
from iterdeploy.cluster.parcels import ParcelError, digest, write
from iterdeploy.cluster.placement import Shape, check_placement
from iterdeploy.sections import ConfigError

NODES = [Shape(8, 2), Shape(8, 2), Shape(4, 0)]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"samplers": 5, "gpus_per_sampler": 1.0}, r"5 samplers with 1 CPU and 1 GPU each .* but 4: .* 2 nodes with 8"),
        ({"cpus_per_sampler": 16.0}, "1 sampler with 16 CPUs and no GPU each cannot be placed, but none"),
        ({"gpus_for_training": 4.0}, "one node with 1 CPU and 4 GPUs, and none has that"),
    ],
)
def test_what_is_missing_is_said(asked: dict[str, Any], words: str) -> None:
    config = config_with({"cluster.engine": "ray", **{f"cluster.{key}": value for key, value in asked.items()}})
    with pytest.raises(ConfigError, match=words):
        check_placement(config.cluster, NODES)


def test_what_fits_is_accepted() -> None:
    asked = {"cluster.engine": "ray", "cluster.samplers": 4, "cluster.gpus_per_sampler": 1.0}
    check_placement(config_with({**asked, "cluster.gpus_for_training": 2.0}).cluster, NODES)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sampling.sampler": "vllm"}, 'samples with sampling.sampler = "transformers", not "vllm"'),
        ({"sampling.processes": 2}, "on a cluster set cluster.samplers"),
        ({"cluster.address": "somewhere"}, "an address reads"),
        ({"cluster.gpus_per_sampler": 1.5}, "a whole number of them, not 1.5"),
    ],
)
def test_what_cannot_go_together_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        config_with({"cluster.engine": "ray", **wrong})


def test_ray_that_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "iterdeploy\[ray\]"'):
        connection.check(config_with({"cluster.engine": "ray"}).cluster)


def test_an_address_where_nobody_answers_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        config = write_config(tmp_path, {"cluster.engine": "ray", "cluster.address": address})
        assert_refused(iterdeploy("run", config, "--runs-dir", tmp_path / "runs"), f"nobody answers at {address}")
    assert not (tmp_path / "runs").exists()


def test_a_file_that_arrives_with_another_content_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"weights/a": b"sent"}, {"weights/a": digest(b"sent")})
    assert (tmp_path / "weights" / "a").read_bytes() == b"sent"
    with pytest.raises(ParcelError, match="another content"):
        write(tmp_path, {"b": b"received"}, {"b": digest(b"sent")})
