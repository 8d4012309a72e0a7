#!/bin/bash
# Slot image -> update file
#
# 70-update.sh BOARD VERSION IMAGE OUT_FILE
set -euo pipefail
board=$1 version=$2 image=$3 file=$4
work=$(mktemp -d "$file.XXXXXX")
trap 'rm -rf "$work"' EXIT

zstd --quiet -T0 -6 -o "$work/root.ext4.zst" "$image"
sum() { sha256sum "$1" | cut -d' ' -f1; }
printf '{"format":1,"board":"%s","version":"%s","image":{"bytes":%s,"sha256":"%s"},"compressed":{"bytes":%s,"sha256":"%s"}}\n' \
    "$board" "$version" "$(stat -c %s "$image")" "$(sum "$image")" \
    "$(stat -c %s "$work/root.ext4.zst")" "$(sum "$work/root.ext4.zst")" > "$work/metadata.json"
tar -C "$work" --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --mode=644 \
    -cf "$file" metadata.json root.ext4.zst
