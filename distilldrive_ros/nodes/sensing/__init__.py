"""Node `sensor_sync`: sensor topics in, synchronised sets out."""
