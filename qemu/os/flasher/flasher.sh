#!/bin/bash
# A finished OS image -> a disk image that boots and installs it on the internal disk.
# Boot code, EFI programs, kernel, modules and os-release are those of the OS image itself.
#
# flasher.sh OS_IMAGE PARTS OS_SCRIPT OUT -> OUT/flasher.img
set -euo pipefail
os=$1 parts=$2 own=$3 out=$4
guid=5D0F3C52-0000-4000-8000-00000000010
# shellcheck source=../assemble/reference.sh
. "$own"
flash_mib=320

# The OS's own files: its boot partition comes first, then its slot A (60-disk.sh).
tree=$out/flash-boot
rm -rf "$tree"
mkdir -p "$tree/$grub" "$tree/EFI"
mcopy -o -s -i "$os@@${first_mib}M" ::/EFI/BOOT "$tree/EFI/"
mcopy -i "$os@@${first_mib}M" ::/os-release ::/config.json "$tree/"
dd if="$os" of="$out/slot.ext4" bs=1M skip=$((first_mib + boot_mib)) count="$root_mib" conv=sparse status=none
debugfs -R "dump /boot/vmlinuz $tree/vmlinuz" "$out/slot.ext4" 2> /dev/null
debugfs -R "dump /boot/initrd.img $out/initrd.img" "$out/slot.ext4" 2> /dev/null
rm "$out/slot.ext4"
[[ -s $tree/vmlinuz && -s $out/initrd.img ]]
cp "$parts/grub.cfg" "$tree/$grub/grub.cfg"

# The same initramfs with another init and the tools that it wants.
initramfs=$out/installer
rm -rf "$initramfs"
mkdir -p "$initramfs"
zstd -dcq "$out/initrd.img" | (cd "$initramfs" && cpio --extract --quiet --no-absolute-filenames)
install -m 755 "$parts/init" "$initramfs/init"
for tool in blockdev cp cut gunzip md5sum; do
    ln -sf busybox "$initramfs/bin/$tool"
done
find "$initramfs" -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
(cd "$initramfs" && find . -print0 | LC_ALL=C sort -z \
    | cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) \
    | zstd -19 --quiet --single-thread > "$tree/installer.img"

# busybox has gunzip, and no zstd.
gzip -n -6 < "$os" > "$tree/os.img.gz"
printf '%s %s\n' "$(md5sum < "$os" | cut -d' ' -f1)" "$(stat -c %s "$os")" > "$tree/os.img.sum"

find "$tree" -print0 | xargs -0 touch --date="@$SOURCE_DATE_EPOCH"
rm -f "$out/flash-boot.fat" "$out/flasher.img"
faketime -f "$FAKE_CLOCK" mkfs.fat -i 5d0f3c53 -n FLASH-BOOT -F 16 -C "$out/flash-boot.fat" $((flash_mib * 1024)) > /dev/null
cd "$tree"
while IFS= read -r path; do
    if [[ -d $path ]]; then
        faketime -f "$FAKE_CLOCK" mmd -i "$out/flash-boot.fat" "::/$path"
    else
        faketime -f "$FAKE_CLOCK" mcopy -m -i "$out/flash-boot.fat" "$path" "::/$path"
    fi
done < <(find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort)

truncate -s $((1 + flash_mib + 1))M "$out/flasher.img"
sfdisk --quiet "$out/flasher.img" <<TABLE
label: gpt
label-id: ${guid}0
first-lba: 34
start=40, size=2008, type=21686148-6449-6E6F-744E-656564454649, name=bios-grub, uuid=${guid}1
start=1MiB, size=${flash_mib}MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=flash-boot, uuid=${guid}2
TABLE
# GRUB's own code is where the OS image has it; its prefix is partition 2 of whatever disk it came from.
if [[ $bios == yes ]]; then
    dd if="$os" of="$out/flasher.img" bs=440 count=1 conv=notrunc status=none
    dd if="$os" of="$out/flasher.img" bs=512 skip=40 seek=40 count=2008 conv=notrunc status=none
fi
dd if="$out/flash-boot.fat" of="$out/flasher.img" bs=1M seek=1 conv=sparse,notrunc status=none
