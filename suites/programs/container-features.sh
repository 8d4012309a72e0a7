#!/bin/sh
# What containers need of a kernel, as TAP. Each test tries the thing itself.
count=0
failed=0

result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        failed=$((failed + 1))
        echo "not ok $count - $2"
        [ -z "$3" ] || echo "# $3"
    fi
}

echo "TAP version 14"
echo "1..8"

# Version 2 lists what the unified hierarchy has; else version 1 tells which are enabled.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    controllers=$(tr ' ' '\n' < /sys/fs/cgroup/cgroup.controllers)
else
    controllers=$(awk '$1 !~ /^#/ && $4 == 1 { print $1 }' /proc/cgroups)
fi

for controller in memory pids cpu; do
    echo "$controllers" | grep -qxF "$controller"
    result $? "cgroup controller $controller" "there are: $(echo $controllers)"
done

said=$(unshare --mount --uts --ipc --net --pid --fork --mount-proc sh -c 'echo inside > /proc/sys/kernel/hostname && echo $$' 2>&1)
[ "$said" = 1 ]
result $? "namespaces of mounts, names, IPC, network and processes" "$said"

grep -q '^Seccomp:' /proc/1/status
result $? "seccomp" "/proc/1/status has no Seccomp line"

said=$(ip link add shakedown0 type veth peer name shakedown1 2>&1 && ip link delete shakedown0 2>&1)
result $? "pairs of virtual network interfaces" "$said"

said=$(ip link add shakedown2 type bridge 2>&1 && ip link delete shakedown2 2>&1)
result $? "bridges" "$said"

said=$(iptables -t nat -S POSTROUTING 2>&1)
result $? "network address translation" "$said"

exit "$failed"
