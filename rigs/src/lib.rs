//! Drivers for real rig hardware, one file each.
