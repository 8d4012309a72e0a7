#!/bin/bash
# Partitions -> disk image. The BIOS boot code is written by the builder.
#
# 60-disk.sh OUT IMAGE
set -euo pipefail
out=$1 image=$2
guid=5D0F3C52-0000-4000-8000-00000000000

rm -f "$image"
truncate -s $((2 + 64 + 512 + 512 + 64 + 1024 + 1))M "$image"
sfdisk --quiet "$image" <<EOF
label: gpt
label-id: ${guid}0
first-lba: 34
start=40, size=2008, type=21686148-6449-6E6F-744E-656564454649, name=bios-grub, uuid=${guid}1
start=1MiB, size=64MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=resin-boot, uuid=${guid}2
size=512MiB, name=resin-rootA, uuid=${guid}3
size=512MiB, name=resin-rootB, uuid=${guid}4
size=64MiB, name=resin-state, uuid=${guid}5
size=1024MiB, name=resin-data, uuid=${guid}6
EOF
at=1
put() { dd if="$1" of="$image" bs=1M seek=$at conv=sparse,notrunc status=none; at=$((at + $2)); }
put "$out/boot.fat" 64
put "$out/root.ext4" 512
put "$out/inactive.ext4" 512
put "$out/state.ext4" 64
put "$out/data.ext4" 1024
