"""Everything outside the arithmetic: devices, files, brokers, stores, collectors, people."""
