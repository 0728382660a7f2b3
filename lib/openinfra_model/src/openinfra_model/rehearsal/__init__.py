"""The rehearsal: a whole bundle played in one process, with the charms' own code and no machine.

The engine's core decides which hooks are due, as it does on machines. `adapter` runs a hook in this process, `code` gives
each charm's modules a namespace of their own, `world` holds the machines in memory, `play` chooses what happens next and
keeps the record, `invariants` says what must always hold.
"""
