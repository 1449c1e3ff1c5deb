"""The report of a drive: one self-contained HTML file and the same numbers as JSON."""
