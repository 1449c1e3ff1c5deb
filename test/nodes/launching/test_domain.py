"""Domains are reserved for one process each, and given back with its end."""

from __future__ import annotations

import subprocess
import sys

from distilldrive_ros.nodes.launching.domain import DOMAINS, reserve_domain

CHILD = (
    "from distilldrive_ros.nodes.launching.domain import reserve_domain; print(reserve_domain(), flush=True); input()"
)


def test_processes_get_different_domains() -> None:
    own = {reserve_domain(), reserve_domain()}
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        taken = [int(child.stdout.readline()) for child in children if child.stdout is not None]
    finally:
        for child in children:
            child.communicate("\n", timeout=30)
    assert len(own) == 2
    assert len({*own, *taken}) == 5
    assert all(domain in DOMAINS for domain in (*own, *taken))
