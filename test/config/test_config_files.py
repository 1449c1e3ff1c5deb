"""Files in config/ that other programs read."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import yaml

NAMESPACE = {"d": "http://www.eprosima.com"}


def test_the_fast_dds_profile_is_the_default_one_and_has_the_large_segment(repository):
    root = ElementTree.parse(repository / "config" / "fastdds_shm.xml").getroot()
    participant = root.find(".//d:participant", NAMESPACE)
    assert participant.get("is_default_profile") == "true"
    assert participant.findtext("d:rtps/d:useBuiltinTransports", namespaces=NAMESPACE) == "false"
    used = [t.text for t in participant.findall("d:rtps/d:userTransports/d:transport_id", NAMESPACE)]
    transports = {
        t.findtext("d:transport_id", namespaces=NAMESPACE): t
        for t in root.findall(".//d:transport_descriptor", NAMESPACE)
    }
    assert sorted(used) == sorted(transports)
    shared = next(t for t in transports.values() if t.findtext("d:type", namespaces=NAMESPACE) == "SHM")
    numbers = {n: int(shared.findtext(f"d:{n}", namespaces=NAMESPACE)) for n in
               ("segment_size", "maxMessageSize", "port_queue_capacity")}  # fmt: skip
    assert numbers == {"segment_size": 67108864, "maxMessageSize": 8388608, "port_queue_capacity": 2048}
    assert any(t.findtext("d:type", namespaces=NAMESPACE) == "UDPv4" for t in transports.values())


def test_the_replay_overrides_offer_what_our_subscriptions_ask_for(repository):
    overrides = yaml.safe_load((repository / "config" / "replay_qos.yaml").read_text(encoding="utf-8"))
    assert overrides["/tf_static"]["durability"] == "transient_local"
    assert all(profile["reliability"] == "reliable" for profile in overrides.values())
    assert {"/tf_static", "/command", "/sample_info"} <= set(overrides)
