"""Topics of what the graph makes of a drive: candidates, plans, road users, map."""

from __future__ import annotations

PACKAGE = "distilldrive_ros/msg"
PLANS_TOPIC = "/planner/paths"
PATH_TOPIC = "/planner/path"
CANDIDATES_TOPIC = "/perception_planning/candidates"
OBJECTS_TOPIC = "/perception_planning/objects"
MAP_TOPIC = "/perception_planning/map"

RESULT_TOPICS = {
    PLANS_TOPIC: f"{PACKAGE}/PathCandidates",
    PATH_TOPIC: "nav_msgs/msg/Path",
    CANDIDATES_TOPIC: f"{PACKAGE}/TrajectoryCandidates",
    OBJECTS_TOPIC: f"{PACKAGE}/ObjectPredictions",
    MAP_TOPIC: f"{PACKAGE}/VectorMap",
}
