#!/bin/bash
# Packages -> root file system tree, under fakeroot. No maintainer script runs,
# so the architecture of the host does not matter.
#
# 10-root.sh ARCH DEB_LIST RECIPE OUT
#   DEB_LIST  files of the packages, one a line
#   OUT       gets root/ (the tree), loaders/ (GRUB's modules)
set -euo pipefail
arch=$1 deb_list=$2 recipe=$3 out=$4
root=$out/root loaders=$out/loaders

# shellcheck source=lib.sh
. "$recipe/assemble/lib.sh"

rm -rf "$root" "$loaders"
mkdir -p "$root" "$loaders"
# Merged /usr, as on every current Debian.
mkdir -p "$root"/usr/{bin,sbin,lib}
ln -s usr/bin "$root/bin"
ln -s usr/sbin "$root/sbin"
ln -s usr/lib "$root/lib"
if [[ $arch == amd64 ]]; then
    mkdir "$root/usr/lib64"
    ln -s usr/lib64 "$root/lib64"
fi

words "$recipe/packages/exclude.txt" > "$out/exclude"
while read -r deb; do
    name=${deb##*/}
    case $name in
    grub-pc-bin_* | grub-efi-*) into=$loaders ;;
    *) into=$root ;;
    esac
    dpkg-deb --fsys-tarfile "$deb" \
        | tar -x -p --numeric-owner --keep-directory-symlink --exclude-from="$out/exclude" -C "$into"
done < "$deb_list"

# --- what maintainer scripts would have done
mkdir -p "$root"/{dev,proc,sys,run,tmp,root,srv,mnt/{boot,state,data,sysroot/inactive}} \
    "$root"/var/{lib/{chrony,dbus},log,mail,spool,tmp,cache} "$root/usr/local/bin"
chmod 1777 "$root/tmp" "$root/var/tmp"
chmod 700 "$root/root"
rm -rf "$root/var/run" "$root/var/lock"
ln -s /run "$root/var/run"
ln -s /run/lock "$root/var/lock"
ln -s / "$root/mnt/sysroot/active"
ln -sf mawk "$root/usr/bin/awk"
# The old interface: dockerd calls iptables some thirty times at each start, and
# each call is several times cheaper than with nft.
for tool in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -sf xtables-legacy-multi "$root/usr/sbin/$tool"
done
[[ -e $root/usr/bin/sh ]] || ln -s dash "$root/usr/bin/sh"
mkdir -p "$root/etc/ssl/certs"
(cd "$root/usr/share/ca-certificates" && find . -name '*.crt' -print0 | LC_ALL=C sort -z | xargs -0 cat) \
    > "$root/etc/ssl/certs/ca-certificates.crt"
ln -sf /usr/share/zoneinfo/Etc/UTC "$root/etc/localtime"
ln -sf ../run/reference/resolv.conf "$root/etc/resolv.conf"
cp "$root/usr/share/base-files/profile" "$root/etc/profile" 2> /dev/null || true
: > "$root/etc/machine-id"
echo reference > "$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 reference\n' > "$root/etc/hosts"
ln -sf /etc/machine-id "$root/var/lib/dbus/machine-id"
rm -rf "$root/etc/update-motd.d" "$root"/etc/ssh/ssh_host_* "$root/etc/fstab"

# --- ours
cp -a --no-preserve=ownership "$recipe/tree/." "$root/"
# agetty reads /etc/issue.d; the file is made at each boot.
mkdir -p "$root/etc/issue.d"
ln -s /run/issue.d/10-ssh.issue "$root/etc/issue.d/10-ssh.issue"
chmod -R u=rwX,go=rX "$root/usr/lib/reference" "$root/etc/systemd" "$root/etc/pam.d"
chmod 640 "$root/etc/shadow"
chown 0:42 "$root/etc/shadow"

units=$root/etc/systemd/system
enable_units "$units"
want "$units" multi-user.target /lib/systemd/system/systemd-networkd.service
want "$units" sockets.target /lib/systemd/system/systemd-networkd.socket
ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
# One process each, at every boot and reload. Serial consoles need the one, `systemd.mask=` among
# the kernel's arguments the other; nothing here uses the rest.
find "$root/usr/lib/systemd/system-generators" -type f ! -name systemd-getty-generator \
    ! -name systemd-debug-generator -delete
while read -r unit; do ln -sf /dev/null "$units/$unit"; done < <(words "$recipe/packages/masked-units.txt")

# --- kernel: fixed names, and only the modules that QEMU's machines can use
mv "$root"/boot/vmlinuz-* "$root/boot/vmlinuz"
rm -f "$root"/boot/{System.map,config}-*
modules=$(echo "$root"/usr/lib/modules/*)
mv "$modules/kernel" "$out/kernel-all"
mkdir "$modules/kernel"
while read -r keep; do
    [[ -e $out/kernel-all/$keep ]] || continue
    (cd "$out/kernel-all" && cp -a --parents "$keep" "$modules/kernel/")
done < <(words "$recipe/packages/modules-keep.txt")
rm -rf "$out/kernel-all"
while read -r drop; do
    # shellcheck disable=SC2086 # patterns
    (cd "$modules/kernel" && rm -rf $drop)
done < <(words "$recipe/packages/modules-drop.txt")
rm -f "$modules"/{build,source}
depmod -b "$root" "${modules##*/}" 2> /dev/null
# What a Raspberry Pi's firmware tells the kernel about the board; nobody else needs one.
for dtb in "$root/usr/lib/linux-image-"*/broadcom/bcm2837-rpi-3-b.dtb; do
    [[ ! -e $dtb ]] || cp "$dtb" "$loaders/"
done
rm -rf "$root/usr/lib/linux-image-"*
