//! Durations, sizes and times, parsed and printed. Pure.
