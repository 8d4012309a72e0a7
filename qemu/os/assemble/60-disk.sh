#!/bin/bash
# Partitions -> disk image. The BIOS boot code is written by the builder.
#
# 60-disk.sh RECIPE OS_SCRIPT OUT IMAGE
set -euo pipefail
recipe=$1 os=$2 out=$3 image=$4
guid=5D0F3C52-0000-4000-8000-00000000000
# shellcheck source=reference.sh
. "$recipe/$os"

number=0 table='' at=$first_mib
# A partition: name, MiB, more of its line.
partition() {
    number=$((number + 1))
    table+="start=${at}MiB, size=$2MiB, ${3:-}name=$1, uuid=$guid$number"$'\n'
    at=$((at + $2))
}
if [[ $bios == yes ]]; then
    number=1
    table="start=40, size=2008, type=21686148-6449-6E6F-744E-656564454649, name=bios-grub, uuid=${guid}1"$'\n'
fi
partition resin-boot "$boot_mib" type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B,
partition resin-rootA "$root_mib"
partition resin-rootB "$root_mib"
partition resin-state "$state_mib"
partition resin-data "$data_mib"

rm -f "$image"
# The second table wants its sectors at the end.
truncate -s $((at + 2))M "$image"
sfdisk --quiet "$image" <<EOF
label: gpt
label-id: ${guid}0
first-lba: 34
$table
EOF
at=$first_mib
put() { dd if="$1" of="$image" bs=1M seek=$at conv=sparse,notrunc status=none; at=$((at + $2)); }
put "$out/boot.fat" "$boot_mib"
put "$out/root.ext4" "$root_mib"
put "$out/inactive.ext4" "$root_mib"
put "$out/state.ext4" "$state_mib"
put "$out/data.ext4" "$data_mib"
