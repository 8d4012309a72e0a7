# shellcheck shell=bash
# Shared by the scripts beside it.

GRUBENV=/mnt/boot/grub/grubenv
STATE=/mnt/state

# A line of its own on the console: the getty's prompt may stand there.
console() { printf '\r\nreference: %s\r\n' "$*" > /dev/console; }

slot() { cat /run/reference/slot; }

other_slot() { if [[ $1 == A ]]; then echo B; else echo A; fi; }

# Field of /etc/os-release.
os() { (. /etc/os-release && printf '%s' "${!1:-}"); }

# Variable of the boot loader's environment.
env_get() { grub-editenv "$GRUBENV" list | sed -n "s/^$1=//p"; }

# All in one write, then to the medium.
env_set() { grub-editenv "$GRUBENV" set "$@" && sync -f "$GRUBENV"; }

update_log() {
    printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >> "$STATE/update-log"
    sync -f "$STATE/update-log"
}
