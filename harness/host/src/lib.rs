//! The only spawner of processes; locks, the warden, shells.
