"""Receiving: the storage and verification SCP, a separate process that stays small.

Nothing here imports pydicom, pynetdicom, NumPy or the network: with pydicom's dictionaries and NumPy in it, the process
starts at 110 MB and passes its budget of 120 MB with a few associations; without them it starts below 50 MB.

    acceptor.py       listening socket, one thread per connection, stopping
    connections.py    how many may wait and how many may be associated, and who goes first
    association.py    one connection from A-ASSOCIATE-RQ to its end, driven by state_machine.py (PS3.8 9.2)
    pdu.py associate.py transport.py   the wire: PDUs, association items, sockets with kernel timeouts
    secure_transport.py                TLS between the two
    negotiation.py    who may associate, and which presentation contexts are accepted
    dimse.py statuses.py               command sets, and what we answer when
    incoming.py part10.py elements.py  an object on its way to disk, and the check of its structure
    store.py          fsync, rename, row: the group commit before 0x0000
    claim.py          a process's name on its storage, and clearing up after the dead
    installation.py   an id for each installation on one database
    run.py            the receiver as a whole: one process, or several behind one listening socket
"""
