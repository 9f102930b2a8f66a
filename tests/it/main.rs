//! Drives the real binary against the emulator, outcome by outcome.

mod walls;
