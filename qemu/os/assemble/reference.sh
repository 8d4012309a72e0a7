# shellcheck shell=bash disable=SC2034 # sourced
# The reference OS: what is its own, where an OS of another name and layout would differ.
id=shakedown-reference
name="shakedown reference OS"
release=''
# Partitions, in order: MiB.
first_mib=1 boot_mib=64 root_mib=512 state_mib=64 data_mib=1024
# File systems carry no slot in their label: a slot is a partition.
label_a=resin-root label_b=resin-root
bios=yes
fingerprint=/reference.fingerprint hash=sha256sum
grub=grub grub_cfg=boot/grub.cfg
grubenv=(boot_slot=A upgrade_available=0 bootcount=0)
# Whether container images lie on the data partition.
apps=yes test_image=reference/busybox:1

# dress ROOT: what the base tree lacks.
dress() { :; }

# unhealthy ROOT: an update that fails its health check.
unhealthy() {
    printf '#!/bin/sh\necho "this build was made to fail"\nexit 1\n' > "$1/usr/lib/reference/health.d/90-unhealthy"
    chmod 755 "$1/usr/lib/reference/health.d/90-unhealthy"
}
