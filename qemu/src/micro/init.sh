#!/bin/sh
# What a micro guest does is named on the kernel's command line: micro=KIND.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
kind=$(sed -n 's/.*micro=\([a-z-]*\).*/\1/p' /proc/cmdline)
echo "micro: init $kind $(cut -d' ' -f1 /proc/uptime)"
case $kind in
panic) echo c >/proc/sysrq-trigger ;;
loop) reboot -f ;;
silent | mute) while :; do sleep 1000; done ;;
flood)
	lines=$(sed -n 's/.*lines=\([0-9]*\).*/\1/p' /proc/cmdline)
	# Whoever counts the lines wants them whole: the kernel speaks late (the clock's calibration, 2-3 s).
	echo 1 >/proc/sys/kernel/printk
	awk -v n="$lines" 'BEGIN { for (i = 0; i < n; i++) printf "flood %09d %s\n", i, "0123456789abcdefghijklmnopqrstuvwxyz" }'
	echo "micro: flood ended"
	;;
esac
for module in /modules/*.ko; do insmod "$module"; done
ip link set lo up
if ip link set eth0 up; then
	ip addr add 10.0.2.15/24 dev eth0
	ip route add default via 10.0.2.2
	# 1000 takes connections and says nothing, 1001 speaks, all others are closed.
	(while :; do nc -l -p 1000 -e sleep 1000; done) &
	(while :; do nc -l -p 1001 -e echo hello; done) &
fi
echo "micro: ready $(cut -d' ' -f1 /proc/uptime)"
while :; do
	printf 'micro login: '
	read -r name
	if [ "$name" = root ]; then
		PS1='micro# ' setsid cttyhack sh
	else
		echo 'Login incorrect'
	fi
done
