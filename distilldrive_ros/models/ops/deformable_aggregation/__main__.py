"""`python -m distilldrive_ros.models.ops.deformable_aggregation [cpu] [cuda]`: compile the kernels."""

import sys

from distilldrive_ros.models.ops.deformable_aggregation.build import main

sys.exit(main(sys.argv[1:]))
