"""A path on the ground with the times at which it is driven. What a `nav_msgs/Path` with stamped poses holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TimedPath:
    """Poses of the rear axle in `frame_id` (base_link) as it is at `stamp_ns`.

    Point i is reached at `stamps_ns[i]` (T,): `positions` (T, 2) m, `yaw` (T,) rad; NaN as sent. The ground truth of a
    bag has 12 points (6 s), less near the end of a scene.
    """

    stamp_ns: int
    frame_id: str
    stamps_ns: NDArray[np.int64] = field(repr=False)
    positions: NDArray[np.float64] = field(repr=False)
    yaw: NDArray[np.float64] = field(repr=False)

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds (T,) from `stamp_ns` until each point is reached."""
        return np.asarray((self.stamps_ns - self.stamp_ns) * 1e-9)
