#!/bin/bash
# busybox, init, the few modules between kernel and disk -> root/boot/initrd.img,
# then the finished tree -> base.tar.zst
#
# 20-initramfs.sh RECIPE OUT
set -euo pipefail
recipe=$1 out=$2
root=$out/root tree=$out/initramfs
version=$(basename "$root"/usr/lib/modules/*)

# shellcheck source=lib.sh
. "$recipe/assemble/lib.sh"

rm -rf "$tree"
mkdir -p "$tree"/{bin,proc,sys,dev,run,sysroot,"lib/modules/$version"}
cp "$root/usr/bin/busybox" "$tree/bin/busybox"
for tool in sh cat chroot dd find insmod mkdir modprobe mount od rm sleep switch_root sync tail umount usleep; do
    ln -s busybox "$tree/bin/$tool"
done
install -m 755 "$recipe/initramfs/init" "$tree/init"

while read -r module; do
    found=$(modprobe --dirname "$root" --set-version "$version" --show-depends "$module" 2> /dev/null) || continue
    echo "$module"
    while read -r action file _; do
        [[ $action == insmod ]] || continue
        inside=lib/modules/$version/${file##*"/modules/$version/"}
        mkdir -p "$tree/${inside%/*}"
        cp "$file" "$tree/$inside"
    done <<< "$found"
done < <(words "$recipe/initramfs/modules.txt") > "$tree/modules"
cp "$root/usr/lib/modules/$version/"modules.{order,builtin,builtin.modinfo} "$tree/lib/modules/$version/"
depmod -b "$tree" "$version" 2> /dev/null
# busybox reads modules.dep only.
(cd "$tree/lib/modules/$version" && rm -f modules.*.bin modules.{order,builtin,builtin.modinfo,softdep,symbols,devname,alias})

find "$tree" -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
(cd "$tree" && find . -print0 | LC_ALL=C sort -z \
    | cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) \
    | zstd -19 --quiet --single-thread > "$root/boot/initrd.img"

# Everything else starts from this tree, also the updates that are built later.
tar -C "$root" --sort=name --numeric-owner -cf - . | zstd -1 -q -T0 -f -o "$out/base.tar.zst"
