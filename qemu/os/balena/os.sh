# shellcheck shell=bash disable=SC2034 # sourced
# The stand-in for balenaOS: the reference OS's packages, kernel and initramfs behind balenaOS's
# names, paths and habits. Sizes are the defaults of balenaOS 8.0.
id=balena-os
name=balenaOS
release='META_BALENA_VERSION="8.0.2"
BUILD_ID="shakedown stand-in"'
first_mib=4 boot_mib=100 root_mib=640 state_mib=80 data_mib=1024
label_a=resin-rootA label_b=resin-rootB
bios=no
fingerprint=/balenaos.fingerprint hash=md5sum
grub=EFI/BOOT grub_cfg=balena/grub.cfg
grubenv=(resin_root_part=2 upgrade_available=0 bootcount=0)
# Nothing is preloaded: the suites bring their image.
apps=no test_image=busybox:1

dress() {
    local root=$1 units=$1/etc/systemd/system unit file
    # What balenaOS has in another form, or not at all.
    for unit in engine containerd sshd reference-hostkey reference-apps reference-ready reference-update-health; do
        rm "$units/$unit.service" "$units/multi-user.target.wants/$unit.service"
    done
    rm -r "$root/usr/bin/reference-update" "$root"/usr/lib/reference/{health.d,load-apps,ready,update-health,engine-cleanup}
    mkdir -p "$root/usr/lib/balena"
    mv "$root/usr/lib/reference/engine-supervise" "$root/usr/bin/healthdog"
    # One engine, by balena's names. containerd looks for its shim by the name that it knows.
    mv "$root/usr/bin/docker" "$root/usr/bin/balena-engine"
    mv "$root/usr/sbin/dockerd" "$root/usr/bin/balena-engine-daemon"
    mv "$root/usr/bin/containerd" "$root/usr/bin/balena-engine-containerd"
    ln -s balena-engine "$root/usr/bin/balena"
    sed 's/docker version/balena-engine version/' "$root/usr/lib/reference/engine-healthcheck" \
        > "$root/usr/lib/balena/balena-healthcheck"
    rm "$root/usr/lib/reference/engine-healthcheck"
    sed -i 's/REFERENCE-FIREWALL/BALENA-FIREWALL/g' "$root/usr/lib/reference/firewall.rules" \
        "$units/reference-firewall.service"
    sed -i 's/engine\.service/balena.service/' "$units/reference-engine-tcp.service"
    sed -i -e 's,^HostKey .*,HostKey /etc/ssh/hostkeys/ssh_host_ed25519_key,' -e '/^Port /d' -e '/^AddressFamily /d' \
        "$root/etc/ssh/sshd_config"
    sed -i -e 's,/mnt/data/docker,/var/lib/docker,' -e 's,172.30.0.1/24,10.114.101.1/24,' "$root/etc/docker/daemon.json"
    # The active root is mounted a second time; what is temporary lies below /var/volatile.
    rm "$root/mnt/sysroot/active"
    mkdir "$root/mnt/sysroot/active" "$root/var/lib/docker"
    ln -s /run/volatile "$root/var/volatile"
    cp -a --no-preserve=ownership "$recipe/balena/tree/." "$root/"
    chmod -R u=rwX,go=rX "$root/usr/lib/balena" "$units"
    chmod 755 "$root/usr/lib/balena/balena-healthcheck"
    enable_units "$units"
    # Nothing but the kernel's list of consoles would start one, and no serial line is on it.
    want "$units" getty.target /lib/systemd/system/serial-getty@.service
    mv "$units/getty.target.wants/serial-getty@.service" "$units/getty.target.wants/serial-getty@ttyS0.service"
    # A unit that is gone must not be waited for, nor named.
    for file in "$units"/*.d/*.conf; do
        sed -i -e 's/^After=reference-hostkey\.service$/After=sshdgenkeys.service/' -e '/^After=reference-ready\.service$/d' "$file"
    done
}

unhealthy() {
    printf '#!/bin/sh\necho "this build was made to fail"\nexit 1\n' > "$1/usr/bin/rollback-board-healthcheck"
}
