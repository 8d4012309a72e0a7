#!/bin/busybox sh
# A guest on the files of the rig host, below a layer that is forgotten: programs that are installed
# there, and tests that were built there, run here on another kernel, with devices of its own.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
	# One video device, with an HDMI input and an HDMI output.
	case $module in *-vivid.ko) options="node_types=0x101 num_inputs=1 input_types=3 num_outputs=1 output_types=1" ;; *) options= ;; esac
	$b insmod "$module" $options || echo "devices: no $module"
done
$b mount -t tmpfs layer /layer
$b mkdir /layer/up /layer/work
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host
$b mount -t overlay -o lowerdir=/host,upperdir=/layer/up,workdir=/layer/work root /root
for folder in proc sys dev; do $b mount --move /$folder /root/$folder; done
for folder in run tmp; do $b mount -t tmpfs $folder /root/$folder; done
$b ip link set lo up
$b ip addr add 10.0.2.15/24 dev eth0
$b ip link set eth0 up
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C
# Commands come on the second port, a line each; the shell there says what they say. It is ready when it has the
# port open: what comes before that is lost.
exec $b chroot /root /bin/sh -c 'exec setsid /bin/sh -c "exec 3>&1 </dev/ttyS1 >/dev/ttyS1 2>&1; stty raw -echo; echo devices: ready >&3; exec 3>&- /bin/sh"'
