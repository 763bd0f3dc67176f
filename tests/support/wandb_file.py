"""What an offline W&B run wrote: LevelDB log records (32 KiB blocks behind a 7-byte head) of its protocol."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wandb
from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEAD = 32768, 7


def settle() -> None:
    """End what W&B is at in this process, so that its files are whole."""
    if wandb.run is not None:
        wandb.finish()
    wandb.teardown()  # its service, which may still be writing


def records(folder: Path) -> Iterator[Any]:
    """The records of the one offline run below ``folder``."""
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    content, place, text = path.read_bytes(), HEAD, b""
    while place + HEAD <= len(content):
        if BLOCK - place % BLOCK < HEAD:
            place += BLOCK - place % BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", content[place : place + HEAD])
        text += content[place + HEAD : place + HEAD + size]
        place += HEAD + size
        if kind in (1, 4):  # a full record, or the last part of one
            record = Record()
            record.ParseFromString(text)
            text = b""
            yield record


def artifacts(folder: Path) -> list[tuple[str, dict[str, Any], set[str]]]:
    """The artifacts of the run: type, metadata, and the names of their files."""
    return [
        (item.type, json.loads(item.metadata), {entry.path for entry in item.manifest.contents})
        for item in (record.request.log_artifact.artifact for record in records(folder) if record.HasField("request"))
        if item.type
    ] + [
        (item.type, json.loads(item.metadata), {entry.path for entry in item.manifest.contents})
        for item in (record.artifact for record in records(folder) if record.HasField("artifact"))
    ]


def read(folder: Path) -> tuple[Any, dict[str, str], dict[str, str]]:
    """The run's head, its config and its logged values, the last of each name, as JSON."""
    head, config, values = None, {}, {}
    for record in records(folder):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            head = record.run
            config |= {item.key: item.value_json for item in head.config.update}
        elif kind == "config":
            config |= {item.key: item.value_json for item in record.config.update}
        elif kind == "history":
            values |= {item.key or ".".join(item.nested_key): item.value_json for item in record.history.item}
    return head, config, values
