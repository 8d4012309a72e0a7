#!/bin/bash
# File systems of the empty slot, of state and of data (with the container
# images) -> inactive.ext4, state.ext4, data.ext4
#
# 40-state-data.sh ARCH RECIPE OUT
set -euo pipefail
arch=$1 recipe=$2 out=$3
root=$out/root

# A docker archive without docker: one layer, one configuration, one manifest.
# image_archive NAME LAYER_TREE CONFIG_JSON FILE
image_archive() {
    local name=$1 layer=$2 config=$3 file=$4 work digest id
    work=$(mktemp -d "$out/archive.XXXXXX")
    plain_tar "$layer" . > "$work/layer.tar"
    digest=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
    printf '{"architecture":"%s","config":%s,"created":"2025-01-01T00:00:00Z","history":[{"created":"2025-01-01T00:00:00Z"}],"os":"linux","rootfs":{"diff_ids":["sha256:%s"],"type":"layers"}}' \
        "$arch" "$config" "$digest" > "$work/config"
    id=$(sha256sum "$work/config" | cut -d' ' -f1)
    mkdir -p "$work/image/$digest"
    mv "$work/layer.tar" "$work/image/$digest/layer.tar"
    mv "$work/config" "$work/image/$id.json"
    printf '[{"Config":"%s.json","Layers":["%s/layer.tar"],"RepoTags":["%s"]}]' \
        "$id" "$digest" "$name" > "$work/image/manifest.json"
    plain_tar "$work/image" . > "$file"
    rm -rf "$work"
}

plain_tar() {
    tar -C "$1" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner \
        --mtime="@$SOURCE_DATE_EPOCH" --mode='u+rw,go+r' -c "$2"
}

layer=$out/layer
rm -rf "$layer" "$out/data" "$out/state" "$out/empty"
mkdir -p "$layer"/{bin,tmp,www,etc} "$out"/{data/apps,state,empty}
cp "$root/usr/bin/busybox" "$layer/bin/busybox"
for tool in sh cat echo env false grep head hostname httpd id ip ls mkdir nc nslookup ping ps rm sha256sum sleep sync tail test touch true uname wget; do
    ln -s busybox "$layer/bin/$tool"
done
echo 'root:x:0:0:root:/:/bin/sh' > "$layer/etc/passwd"
cp "$recipe/tree-web/index.html" "$layer/www/index.html"
image_archive reference/busybox:1 "$layer" \
    '{"Cmd":["/bin/sh"],"Env":["PATH=/bin"]}' "$out/data/apps/busybox.tar"
image_archive reference/web:1 "$layer" \
    '{"Cmd":["/bin/httpd","-f","-p","8080","-h","/www"],"Env":["PATH=/bin"],"ExposedPorts":{"8080/tcp":{}}}' \
    "$out/data/apps/web.tar"
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
file_system "$out/empty" resin-root 5d0f3c52-0000-4000-8000-0000000000b0 512 "$out/inactive.ext4"
file_system "$out/state" resin-state 5d0f3c52-0000-4000-8000-0000000000c0 64 "$out/state.ext4"
file_system "$out/data" resin-data 5d0f3c52-0000-4000-8000-0000000000d0 1024 "$out/data.ext4"
