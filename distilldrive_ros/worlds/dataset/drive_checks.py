"""Whether a drive is one to learn from."""

from __future__ import annotations

from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.worlds.dataset.drive import Drive
from distilldrive_ros.worlds.driving.hazards import DrivableGround, touched

# A drive that ends before this share of the time wanted is a failure, not an arrival.
SHORTEST_SHARE = 0.5


def flaw_of(drive: Drive, wanted_s: float) -> str:
    """What is wrong with it: a collision, off the road, too short; '' for nothing."""
    lasted_s = (drive.last_ns - drive.first_ns) / 1e9
    if lasted_s < SHORTEST_SHARE * wanted_s:
        return f"ends after {lasted_s:.1f} s"
    ground = DrivableGround(drive.place)
    for snapshot in drive.snapshots:
        after_s = (snapshot.time_ns - drive.first_ns) / 1e9
        hit = touched(snapshot.ego, snapshot.agents, PACIFICA)
        if hit:
            return f"touches a {hit[0].category} after {after_s:.1f} s"
        if not ground.holds_center(snapshot.ego, PACIFICA):
            return f"leaves the road after {after_s:.1f} s"
    return ""
