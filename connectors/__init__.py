"""Everything outside the arithmetic: devices, files, brokers, stores, collectors, people.

``SOURCES`` names the reader of each kind of source; a reader is imported when the first source
of its kind is listened to, so that a missing driver troubles only those who need it.
"""

SOURCES: dict[str, str] = {
    "file": "connectors.files:FileReader",
}
"""Scheme of a source -> "module:Class" of its reader (see ``connectors.reader.Reader``)."""
