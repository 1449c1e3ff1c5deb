"""NAVSIM's simulator and scorers, PDMS (v1) and EPDMS (v2), and a planner made of them; in numpy and shapely.

Everything is a batch over proposals of one scene (`world.NavsimWorld`): `proposals` makes 41 reference poses of each
candidate, `simulator` drives them, `pdms` and `epdms` score the states, `planner` drives by those scores. `fidelity`
names where upstream's arithmetic departs from its own definitions; by default it is reproduced, so that numbers compare
with published ones. Section numbers in this package are those of the DiffusionDriveV2 specification.
"""
