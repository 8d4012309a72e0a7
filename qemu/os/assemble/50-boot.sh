#!/bin/bash
# GRUB, its configuration and environment, config.json -> boot.fat, core.img
#
# 50-boot.sh ARCH BOARD KERNEL_ARGS RECIPE OS_SCRIPT OUT
set -euo pipefail
arch=$1 board=$2 kernel_args=$3 recipe=$4 os=$5 out=$6
# shellcheck source=reference.sh
. "$recipe/$os"
tree=$out/boot loaders=$out/loaders/usr/lib/grub
modules="part_gpt fat ext2 normal configfile loadenv test linux echo serial terminal reboot halt sleep minicmd cat ls boot true gzio regexp probe"

rm -rf "$tree"
mkdir -p "$tree/$grub" "$tree/EFI/BOOT"
sed "s/@KERNEL_ARGS@/$kernel_args/" "$recipe/$grub_cfg" > "$tree/$grub/grub.cfg"
grub-editenv "$tree/$grub/grubenv" create
grub-editenv "$tree/$grub/grubenv" set "${grubenv[@]}"
cp "$out/root/usr/lib/os-release" "$tree/os-release"
printf '{\n  "deviceType": "%s",\n  "developmentMode": false,\n  "persistentLogging": false\n}\n' "$board" > "$tree/config.json"

# Without a device in the prefix GRUB takes the one it was started from.
# shellcheck disable=SC2086 # a list of modules
case $arch in
amd64)
    grub-mkimage -d "$loaders/x86_64-efi" -O x86_64-efi -p "/$grub" -o "$tree/EFI/BOOT/BOOTX64.EFI" $modules
    if [[ $bios == yes ]]; then
        grub-mkimage -d "$loaders/i386-pc" -O i386-pc -p "(,gpt2)/$grub" -o "$out/core.img" biosdisk $modules
        cp "$loaders/i386-pc/boot.img" "$out/boot.img"
    fi
    ;;
arm64)
    grub-mkimage -d "$loaders/arm64-efi" -O arm64-efi -p "/$grub" -o "$tree/EFI/BOOT/BOOTAA64.EFI" ${modules/serial /}
    ;;
esac

# A Raspberry Pi's firmware has no boot menu: it starts slot A.
if [[ $board == raspberrypi3-64 ]]; then
    rm -r "$tree/EFI" "$tree/grub"
    cp "$out/root/boot/vmlinuz" "$tree/kernel8.img"
    cp "$out/root/boot/initrd.img" "$tree/initrd.img"
    cp "$out/loaders/bcm2837-rpi-3-b.dtb" "$tree/"
    printf '%s\n' 'arm_64bit=1' 'enable_uart=1' 'kernel=kernel8.img' 'initramfs initrd.img followkernel' \
        'device_tree=bcm2837-rpi-3-b.dtb' > "$tree/config.txt"
    echo "console=ttyS1,115200 root=PARTUUID=5D0F3C52-0000-4000-8000-000000000003 reference.slot=A ro gpt panic=3" \
        "net.ifnames=0 apparmor=0 audit=0 mitigations=off $kernel_args" > "$tree/cmdline.txt"
fi

find "$tree" -print0 | xargs -0 touch --date="@$SOURCE_DATE_EPOCH"
rm -f "$out/boot.fat"
faketime -f "$FAKE_CLOCK" mkfs.fat -i 5d0f3c52 -n RESIN-BOOT -F 16 -C "$out/boot.fat" $((boot_mib * 1024)) > /dev/null
# One at a time, sorted: copying a folder takes the order of the host's folder.
cd "$tree"
while IFS= read -r path; do
    if [[ -d $path ]]; then
        faketime -f "$FAKE_CLOCK" mmd -i "$out/boot.fat" "::/$path"
    else
        faketime -f "$FAKE_CLOCK" mcopy -m -i "$out/boot.fat" "$path" "::/$path"
    fi
done < <(find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort)
