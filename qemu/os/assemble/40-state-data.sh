#!/bin/bash
# File systems of the empty slot, of state and of data (with the container
# images) -> inactive.ext4, state.ext4, data.ext4; test-image.tar where data has none
#
# 40-state-data.sh ARCH RECIPE OS_SCRIPT OUT
set -euo pipefail
arch=$1 recipe=$2 os=$3 out=$4
root=$out/root

# shellcheck source=lib.sh
. "$recipe/assemble/lib.sh"
# shellcheck source=reference.sh
. "$recipe/$os"

layer=$out/layer
rm -rf "$layer" "$out/data" "$out/state" "$out/empty"
mkdir -p "$layer"/{bin,tmp,www,etc} "$out"/{data,state,empty}
cp "$root/usr/bin/busybox" "$layer/bin/busybox"
for tool in sh cat echo env false grep head hostname httpd id ip ls mkdir nc nslookup ping ps rm sha256sum sleep sync tail test touch true uname wget; do
    ln -s busybox "$layer/bin/$tool"
done
echo 'root:x:0:0:root:/:/bin/sh' > "$layer/etc/passwd"
cp "$recipe/tree-web/index.html" "$layer/www/index.html"
# layer_image NAME CONFIG_JSON FILE
layer_image() {
    plain_tar "$layer" . > "$out/layer.tar"
    image_archive "$arch" "$1" "$out/layer.tar" "$2" "$3"
}
shell='{"Cmd":["/bin/sh"],"Env":["PATH=/bin"]}'
if [[ $apps == yes ]]; then
    mkdir "$out/data/apps"
    layer_image "$test_image" "$shell" "$out/data/apps/busybox.tar"
    layer_image reference/web:1 \
        '{"Cmd":["/bin/httpd","-f","-p","8080","-h","/www"],"Env":["PATH=/bin"],"ExposedPorts":{"8080/tcp":{}}}' \
        "$out/data/apps/web.tar"
else
    layer_image "$test_image" "$shell" "$out/test-image.tar"
fi
rm -rf "$layer"

for tree in data state; do
    echo 'Delete this file and reboot to reset this partition.' > "$out/$tree/remove_me_to_reset"
done

file_system() {
    local tree=$1 label=$2 uuid=$3 mib=$4 image=$5
    find "$tree" -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
    rm -f "$image"
    faketime -f "$FAKE_CLOCK" mke2fs -q -t ext4 -b 4096 -O ^metadata_csum_seed -m 0 \
        -E "hash_seed=$uuid,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0" \
        -U "$uuid" -L "$label" -d "$tree" "$image" "${mib}M"
}
file_system "$out/empty" "$label_b" 5d0f3c52-0000-4000-8000-0000000000b0 "$root_mib" "$out/inactive.ext4"
file_system "$out/state" resin-state 5d0f3c52-0000-4000-8000-0000000000c0 "$state_mib" "$out/state.ext4"
file_system "$out/data" resin-data 5d0f3c52-0000-4000-8000-0000000000d0 "$data_mib" "$out/data.ext4"
