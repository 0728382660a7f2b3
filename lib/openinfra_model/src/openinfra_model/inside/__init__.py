"""Programs that run inside the machines, on the machine's own Python: each is one file and imports the standard library only."""
