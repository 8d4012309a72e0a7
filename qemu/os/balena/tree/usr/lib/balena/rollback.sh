# shellcheck shell=bash
# Shared by hostapp-update-hooks and the rollback programs.

GRUBENV=/mnt/boot/EFI/BOOT/grubenv
STATE=/mnt/state

env_get() { grub-editenv "$GRUBENV" list | sed -n "s/^$1=//p"; }

# All in one write, then to the medium.
env_set() { grub-editenv "$GRUBENV" set "$@" && sync -f "$GRUBENV"; }

# Number of the partition that is mounted at $1, in hex as the boot loader has it.
partition_of() {
    local node
    # An automount has two lines; the file system is the last.
    ls "$1" > /dev/null
    node=$(findmnt --noheadings --output SOURCE --types ext4 "$1" | tail -n 1)
    printf '%x\n' "$(< "/sys/class/block/${node##*/}/partition")"
}
