#!/bin/bash
# base.tar.zst + version -> the image of one slot.
#
# 30-slot.sh ARCH BOARD VERSION VARIANT BASE_TAR RECIPE OS_SCRIPT ROOT IMAGE
#   ROOT     an empty or missing folder for the tree; it stays
#   VARIANT  standard, or a deliberately broken one for suites:
#            no-init (kernel panics), unhealthy (health check fails),
#            no-kernel (boot loader cannot load it)
set -euo pipefail
arch=$1 board=$2 version=$3 variant=$4 base=$5 recipe=$6 os=$7 root=$8 image=$9
uuid=5d0f3c52-0000-4000-8000-0000000000a0

# shellcheck source=lib.sh
. "$recipe/assemble/lib.sh"
# shellcheck source=reference.sh
. "$recipe/$os"

rm -rf "$root"
mkdir -p "$root"
zstd -dcq "$base" | tar -x -p --numeric-owner -C "$root"
dress "$root"

cat > "$root/usr/lib/os-release" <<EOF
ID=$id
ID_LIKE=debian
NAME="$name"
VERSION="$version"
VERSION_ID="$version"
PRETTY_NAME="$name $version"
MACHINE=$board
SLUG=$board
VARIANT="$variant"
VARIANT_ID=$variant
ARCHITECTURE=$arch
EOF
[[ -z $release ]] || printf '%s\n' "$release" >> "$root/usr/lib/os-release"
ln -sf ../usr/lib/os-release "$root/etc/os-release"
printf '%s %s\n' "$name" "$version" > "$root/etc/issue.net"
printf '%s %s\n' "$name" "$version" > "$root/etc/issue"

case $variant in
standard) ;;
no-init) rm -f "$root/usr/sbin/init" "$root/usr/lib/systemd/systemd" ;;
no-kernel) rm -f "$root/boot/vmlinuz" ;;
unhealthy) unhealthy "$root" ;;
*)
    echo "unknown variant $variant" >&2
    exit 2
    ;;
esac

# Everything but the files that the OS itself writes.
(cd "$root" && find . -xdev -type f ! -path './var/*' ! -path './etc/machine-id' ! -path './etc/hostname' \
    ! -path './etc/hosts' ! -path ".$fingerprint" -print0 \
    | LC_ALL=C sort -z | xargs -0 "$hash") > "$root$fingerprint"

find "$root" -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
rm -f "$image"
# faketime: the inodes' change times come from the clock, nothing else sets them.
faketime -f "$FAKE_CLOCK" mke2fs -q -t ext4 -b 4096 -O ^metadata_csum_seed -m 0 \
    -E "hash_seed=$uuid,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0" \
    -U "$uuid" -L "$label_a" -d "$root" "$image" "${root_mib}M"
