#!/bin/bash
# Tree of a slot -> the saved image of a host app, as hostapp-update takes it
#
# 70-hostapp.sh ARCH BOARD RECIPE ROOT OUT_FILE
set -euo pipefail
arch=$1 board=$2 recipe=$3 root=$4 file=$5
# shellcheck source=../assemble/lib.sh
. "$recipe/assemble/lib.sh"

tar -C "$root" --sort=name --format=gnu --numeric-owner -cf "$file.layer" .
image_archive "$arch" "$board:latest" "$file.layer" '{"Cmd":["/bin/sh"]}' "$file.tar"
gzip -n -1 < "$file.tar" > "$file"
rm "$file.tar"
