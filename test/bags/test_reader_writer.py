"""Bags of any content: written, read back in time order, damaged, replaced."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.rosbag2.metadata import parse_qos

from distilldrive_ros.bags import mcap_storage
from distilldrive_ros.bags.bag_metadata import qos_text
from distilldrive_ros.bags.qos import LATCHED_QOS, SENSOR_QOS, TopicQos, from_rosbags
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.bags.typestore import message_types
from distilldrive_ros.bags.writer import BagWriter
from distilldrive_ros.scene.errors import BagError

STRING = "std_msgs/msg/String"
SECOND = 1_000_000_000


def text(content: str) -> object:
    return message_types().types[STRING](data=content)


def write_bag(path: Path, stamps_s, topic="/a", size=20, **options) -> Path:
    with BagWriter(path, **options) as writer:
        writer.add_topic(topic, STRING)
        for index, stamp in enumerate(stamps_s):
            writer.write(topic, text(f"{index:06d}" + "x" * size), round(stamp * SECOND))
    return path


def test_round_trip_with_metadata(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", LATCHED_QOS)
        writer.add_topic("/text", STRING, SENSOR_QOS)
        writer.set_custom_data("who", 'quotes " and: colons\n')
        writer.add_side_file("notes.json", "{}")
        writer.write("/tf_static", message_types().types["tf2_msgs/msg/TFMessage"](transforms=[]), 5)
        writer.write("/text", text("one"), 7)
    assert (tmp_path / "bag" / "notes.json").read_text() == "{}"
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]
    with open_bag(tmp_path / "bag") as bag:
        assert bag.topics["/tf_static"].qos == LATCHED_QOS and bag.topics["/text"].qos == SENSOR_QOS
        assert bag.topics["/text"].count == 1 and "string data" in bag.topics["/text"].definition
        assert (bag.start_ns, bag.end_ns, bag.duration_s) == (5, 7, 2e-9)
        assert bag.custom_data == {"who": 'quotes " and: colons\n'}
        first, second = bag.messages()
        assert (first.topic, first.type, first.stamp_ns) == ("/tf_static", "tf2_msgs/msg/TFMessage", 5)
        assert bag.deserialize(second).data == "one"
    meta = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert meta["version"] == 8 and meta["storage_identifier"] == "mcap"
    assert meta["relative_file_paths"] == ["bag.mcap"]


def test_metadata_is_what_rosbags_itself_would_write(tmp_path):
    """Same messages through rosbags' own writer: the two metadata files say the same."""
    write_bag(tmp_path / "ours" / "bag", [1.0, 2.5])
    store = message_types()
    (tmp_path / "theirs").mkdir()
    with Writer(tmp_path / "theirs" / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        with open_bag(tmp_path / "ours" / "bag") as bag:
            messages = list(bag.messages())
        profile = parse_qos(qos_text(TopicQos()))
        connection = writer.add_connection("/a", STRING, typestore=store, offered_qos_profiles=profile)
        for message in messages:
            writer.write(connection, message.stamp_ns, message.cdr)
    found = [yaml.safe_load((tmp_path / who / "bag" / "metadata.yaml").read_text()) for who in ("ours", "theirs")]
    for meta in found:
        topic = meta["rosbag2_bagfile_information"]["topics_with_message_count"][0]["topic_metadata"]
        topic["offered_qos_profiles"] = yaml.safe_load(topic["offered_qos_profiles"])
    assert found[0] == found[1]
    # The same once more inside the MCAP file, without the outermost key, as rosbag2 wants it there.
    content = (tmp_path / "ours" / "bag" / "bag.mcap").read_bytes()
    place = content.index(b"serialized_metadata") + len(b"serialized_metadata")
    length = int.from_bytes(content[place : place + 4], "little")
    inside = yaml.safe_load(content[place + 4 : place + 4 + length])
    topic = inside["topics_with_message_count"][0]["topic_metadata"]
    topic["offered_qos_profiles"] = yaml.safe_load(topic["offered_qos_profiles"])
    assert inside == found[1]["rosbag2_bagfile_information"]


@pytest.mark.parametrize("reliable", [True, False])
@pytest.mark.parametrize("transient_local", [True, False])
@pytest.mark.parametrize("keep_all", [True, False])
def test_qos_survives_its_text(reliable, transient_local, keep_all):
    qos = TopicQos(reliable, transient_local, 7, keep_all)
    assert from_rosbags(parse_qos(qos_text(qos)), "/x") == qos


def test_no_recorded_qos_means_default_but_static_transforms_are_latched():
    assert from_rosbags([], "/x") == TopicQos()
    assert from_rosbags([], "/robot/tf_static").transient_local


@settings(max_examples=25, deadline=None)
@given(
    entries=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2), st.binary(max_size=2000)), max_size=60),
    chunk=st.sampled_from([1, 500, 5000, 10**7]),
)
def test_any_messages_come_back_in_time_order(tmp_path_factory, entries, chunk):
    """Stamps in any order and of any chunk size: sorted by stamp; equal stamps as written; payloads untouched."""
    folder = tmp_path_factory.mktemp("any")
    default, mcap_storage.CHUNK_BYTES = mcap_storage.CHUNK_BYTES, chunk
    try:
        with BagWriter(folder / "bag") as writer:
            for topic in range(3):
                writer.add_topic(f"/t{topic}", STRING)
            for stamp, topic, payload in entries:
                half = len(payload) // 2
                writer.write(f"/t{topic}", (payload[:half], memoryview(payload)[half:]), stamp)
    finally:
        mcap_storage.CHUNK_BYTES = default
    with open_bag(folder / "bag") as bag:
        read = [(m.stamp_ns, int(m.topic[2]), m.cdr) for m in bag.messages()]
        assert [r[0] for r in read] == sorted(e[0] for e in entries)
        for topic in range(3):
            expected = sorted([e for e in entries if e[1] == topic], key=lambda e: e[0])
            assert [r for r in read if r[1] == topic] == expected
            assert bag.topics[f"/t{topic}"].count == len(expected)


def test_start_offset_and_topics(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        for topic in ("/a", "/b"):
            writer.add_topic(topic, STRING)
        for index in range(10):
            writer.write("/a" if index % 2 else "/b", text(str(index)), (100 + index) * SECOND)
    with open_bag(tmp_path / "bag") as bag:
        assert [bag.deserialize(m).data for m in bag.messages(6.0)] == ["6", "7", "8", "9"]
        assert [bag.deserialize(m).data for m in bag.messages(6.0, ["/a"])] == ["7", "9"]
        assert list(bag.messages(60.0)) == [] and list(bag.messages(0.0, [])) == []
        with pytest.raises(BagError, match="no topic /c; it has: /a, /b"):
            bag.messages(topics=["/c"])


def test_latched_topics_for_a_late_start(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/tf_static", STRING, LATCHED_QOS)
        writer.add_topic("/state", STRING, TopicQos(transient_local=True, depth=1))
        writer.add_topic("/late", STRING, TopicQos(transient_local=True, depth=1))
        writer.add_topic("/other", STRING)
        for index, topic in enumerate(["/tf_static", "/state", "/tf_static", "/state", "/other", "/late", "/late"]):
            writer.write(topic, text(str(index)), index * SECOND)
    with open_bag(tmp_path / "bag") as bag:
        # All static transforms so far, the newest state, and the first of a topic that begins later.
        assert [bag.deserialize(m).data for m in bag.latched(4.0)] == ["0", "2", "3", "5"]
        assert [bag.deserialize(m).data for m in bag.latched(0.0)] == ["0", "1", "5"]


def test_refuses_to_overwrite_without_force(tmp_path):
    write_bag(tmp_path / "bag", [1.0])
    with pytest.raises(BagError, match="--force"):
        write_bag(tmp_path / "bag", [1.0, 2.0])
    write_bag(tmp_path / "bag", [1.0, 2.0], force=True)
    with open_bag(tmp_path / "bag") as bag:
        assert bag.topics["/a"].count == 2
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]


def test_failure_leaves_the_old_bag_and_nothing_else(tmp_path):
    write_bag(tmp_path / "bag", [1.0])
    with pytest.raises(RuntimeError, match="in the middle"), BagWriter(tmp_path / "bag", force=True) as writer:
        writer.add_topic("/a", STRING)
        writer.write("/a", text("new"), 1)
        raise RuntimeError("in the middle")
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]
    with open_bag(tmp_path / "bag") as bag:
        assert bag.topics["/a"].count == 1


def test_what_a_killed_writer_left_is_removed_but_a_living_one_is_not_disturbed(tmp_path):
    dead, alive = tmp_path / ".bag.partial-dead", tmp_path / ".bag.partial-alive"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "lock").touch()
    holder = os.open(alive / "lock", os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    write_bag(tmp_path / "bag", [1.0])
    os.close(holder)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".bag.partial-alive", "bag"]


def test_misuse_of_the_writer(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/a", STRING)
        with pytest.raises(BagError, match="twice"):
            writer.add_topic("/a", STRING)
        with pytest.raises(BagError, match="unknown"):
            writer.add_topic("/b", "nobody_msgs/msg/Thing")
        with pytest.raises(BagError, match="/b was not declared"):
            writer.write("/b", text("x"), 1)
    (tmp_path / "file").touch()
    with pytest.raises(BagError, match="cannot write"), BagWriter(tmp_path / "file" / "bag"):
        pass


def test_empty_bag(tmp_path):
    with BagWriter(tmp_path / "bag"):
        pass
    with open_bag(tmp_path / "bag") as bag:
        assert (list(bag.messages()), bag.topics, bag.latched(), bag.duration_s) == ([], {}, [], 0.0)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.999])
def test_truncated_file_says_how_much_could_be_read(tmp_path, monkeypatch, share):
    monkeypatch.setattr(mcap_storage, "CHUNK_BYTES", 4000)
    file = write_bag(tmp_path / "bag", np.arange(200) * 0.1, size=300) / "bag.mcap"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BagError, match=r"bag\.mcap is damaged.* messages \(.* s\) at its front can be read") as error:
        open_bag(tmp_path / "bag")
    with open_bag(tmp_path / "bag", salvage=True) as bag:
        read = [bag.deserialize(m).data[:6] for m in bag.messages()]
        assert read == [f"{i:06d}" for i in range(len(read))]
        assert f"{len(read)} messages" in str(error.value)
        assert bag.topics["/a"].count == len(read) and bag.topics["/a"].qos == TopicQos()
        assert 200 * share * 0.8 - 5 < len(read) <= 200
        if len(read) > 20:
            assert next(bag.messages(start_offset_s=1.0)).stamp_ns == SECOND


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_salvage_of_compressed_chunks(tmp_path, compression):
    """As `ros2 bag record` writes them. Built by hand: one chunk that is whole, one that is cut."""
    import struct

    from backports import zstd
    from lz4.frame import compress as lz4_compress

    from distilldrive_ros.bags.mcap_salvage import McapSalvage

    def record(code, content):
        return struct.pack("<BQ", code, len(content)) + content

    def string(value):
        return struct.pack("<I", len(value)) + value

    schema = record(3, struct.pack("<H", 1) + string(STRING.encode()) + string(b"ros2msg") + string(b"string data"))
    channel = record(4, struct.pack("<HH", 1, 1) + string(b"/a") + string(b"cdr") + struct.pack("<I", 0))
    messages = [record(5, struct.pack("<HIQQ", 1, 0, 9 - i, 0) + bytes([i]) * 50) for i in range(3)]
    inner = schema + channel + b"".join(messages)
    packed = zstd.compress(inner) if compression == "zstd" else lz4_compress(inner)
    head = struct.pack("<QQQI", 7, 9, len(inner), 0) + string(compression.encode()) + struct.pack("<Q", len(packed))
    chunk = record(6, head + packed)
    file = tmp_path / "cut.mcap"
    file.write_bytes(b"\x89MCAP0\r\n" + record(1, string(b"ros2") + string(b"")) + chunk + chunk[: len(chunk) // 2])
    found = [(c.topic, stamp, data[0]) for c, stamp, data in McapSalvage(file).messages()]
    assert found[:3] == [("/a", 7, 2), ("/a", 8, 1), ("/a", 9, 0)]


def test_damaged_bytes_give_a_bag_error_or_the_rest(tmp_path):
    """Whatever byte is wrong and wherever the file ends: messages come out, or one BagError; nothing else escapes."""
    whole = (write_bag(tmp_path / "bag", range(5)) / "bag.mcap").read_bytes()
    file = tmp_path / "damaged.mcap"
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), rng.integers(1, 5)):
            content[place] = rng.integers(0, 256)
        end = len(content) if rng.random() < 0.7 else int(rng.integers(0, len(content)))
        file.write_bytes(content[:end])
        for salvage in (False, True):
            try:
                with open_bag(file, salvage) as bag:
                    assert all(isinstance(m.cdr, bytes) for m in bag.messages())
            except BagError as error:
                assert str(file) in str(error)
                refused += 1
    assert 100 < refused < 600


def test_not_a_bag(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "readme.md").write_text("hello")
    (tmp_path / "empty.mcap").touch()
    for name, words in [("nowhere", "no bag at"), ("folder", "not a bag"), ("readme.md", "cannot be read"),
                        ("empty.mcap", "no message")]:  # fmt: skip
        with pytest.raises(BagError, match=words):
            open_bag(tmp_path / name)


def test_broken_metadata(tmp_path):
    bag = write_bag(tmp_path / "bag", [1.0, 2.0])
    (bag / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    with pytest.raises(BagError):
        open_bag(bag)


def test_folder_without_metadata_is_read_through_its_only_file(tmp_path):
    bag = write_bag(tmp_path / "bag", [1.0, 2.0])
    (bag / "metadata.yaml").unlink()
    with open_bag(bag) as reader:
        assert len(list(reader.messages())) == 2
    with open_bag(bag / "bag.mcap") as reader:
        assert len(list(reader.messages())) == 2


def test_sqlite_bags_of_older_recorders(tmp_path):
    store = message_types()
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/a", STRING, typestore=store)
        writer.write(connection, 5, store.serialize_cdr(text("old"), STRING))
    with open_bag(tmp_path / "bag") as bag:
        (message,) = bag.messages()
        assert bag.deserialize(message).data == "old"


def test_type_with_another_definition_is_refused(tmp_path):
    bag = write_bag(tmp_path / "bag", [1.0])
    meta = (bag / "metadata.yaml").read_text().replace(message_types().hash_rihs01(STRING), "RIHS01_" + "0" * 64)
    (bag / "metadata.yaml").write_text(meta)
    with open_bag(bag) as reader:
        (message,) = reader.messages()
        with pytest.raises(BagError, match="another definition"):
            reader.deserialize(message)


def test_own_messages_have_the_hashes_of_the_built_ones():
    """What rosidl generates and what the bag says must agree, or tools refuse the bag."""
    folder = Path(sys.prefix) / "share" / "distilldrive_ros" / "msg"
    built = sorted(folder.glob("*.json"))
    if not built:
        pytest.skip("the messages are not built in this environment (make setup)")
    for path in built:
        name = f"distilldrive_ros/msg/{path.stem}"
        hashes = {t["type_name"]: t["hash_string"] for t in json.loads(path.read_text())["type_hashes"]}
        assert hashes[name] == message_types().hash_rihs01(name)


def test_readable_by_rosbags_alone(tmp_path):
    """The files need nothing of this package: another reader sees the same."""
    write_bag(tmp_path / "bag", [1.0, 2.0])
    with Reader(tmp_path / "bag") as reader:
        assert [t for _, t, _ in reader.messages()] == [SECOND, 2 * SECOND]


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    """In a process of its own, as the limit on file sizes holds for all of it."""
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from distilldrive_ros.bags.qos import SENSOR_QOS\n"
        "from distilldrive_ros.bags.writer import BagWriter\n"
        "from distilldrive_ros.scene.errors import BagError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, 6_000_000))\n"
        "try:\n"
        "    with BagWriter(Path(sys.argv[1])) as writer:\n"
        "        writer.add_topic('/a', 'std_msgs/msg/String', SENSOR_QOS)\n"
        "        for stamp in range(1, 40):\n"
        "            writer.write('/a', bytes(1_000_000), stamp)\n"
        "except BagError as error:\n"
        "    print(error)\n"
    )
    bag = tmp_path / "bag"
    done = subprocess.run(
        [sys.executable, "-c", code, str(bag)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(bag) in done.stdout and "File too large" in done.stdout
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == []
