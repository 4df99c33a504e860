//! What a program of this toolkit is made of: exit codes, signals, checked stdout, progress, shared options.
