"""What every node program is made of: its start and end, guarded inputs, health reports, clock, quality of service."""
