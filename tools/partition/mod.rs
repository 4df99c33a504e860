//! From a key to a partition, as each client and database does it. Pure.
