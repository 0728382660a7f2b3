"""The rehearsal: a whole bundle played in one process, with the charms' own code and no machine.

The engine's core decides which hooks are due, as it does on machines. `stage` loads a bundle's charms, each with a
namespace of its own (`code`); `adapter` runs a hook in this process; `world` holds the model and the machines in memory;
`commands` plays what an operator types, `operator` says what she may type; `faults` strikes; `play` chooses what happens
next and keeps the record; `invariants` says what must always hold; `rehearse` plays many schedules and shrinks one that
fails.
"""
