"""Everything outside the arithmetic: devices, files, brokers, stores, collectors, people.

``SOURCES`` names the class of each kind of source, imported when the first source of its kind is
read, so that a missing driver troubles only those who need it.
"""

SOURCES: dict[str, str] = {
    "file": "connectors.files:Files",
    "mic": "connectors.microphone:Microphone",
    "kafka": "connectors.kafka.topic:Topic",
    "-": "connectors.stdin:Stdin",
    "watch": "connectors.watch:Watch",
}
"""Scheme of a source -> "module:Class" (see ``connectors.chunks.Source``)."""
