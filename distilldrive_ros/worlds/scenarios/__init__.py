"""Seeded scenarios and the places that SUMO's network tools make of them."""
