# shellcheck shell=bash
# Shared by the scripts beside it.

# The words of lists, without comments.
words() { sed 's/#.*//; /^[[:space:]]*$/d' "$@"; }

# want UNITS TARGET UNIT: the target of this folder of units wants the unit.
want() { mkdir -p "$1/$2.wants" && ln -sf "$3" "$1/$2.wants/${3##*/}"; }

# enable_units UNITS: what systemctl enable would do for the units in this folder.
enable_units() {
    local unit target
    for unit in "$1"/*.service "$1"/*.socket "$1"/*.path "$1"/*.mount "$1"/*.automount; do
        [[ -f $unit ]] || continue
        target=$(sed -n 's/^WantedBy=//p' "$unit")
        [[ -z $target ]] || want "$1" "$target" "../${unit##*/}"
    done
}

# image_archive ARCH NAME LAYER_TAR CONFIG_JSON FILE: a docker archive without docker. What is small
# comes first, so that who reads a stream knows what the layer must be.
image_archive() {
    local arch=$1 name=$2 layer=$3 config=$4 file=$5 work digest id
    work=$(mktemp -d "${file%/*}/archive.XXXXXX")
    digest=$(sha256sum "$layer" | cut -d' ' -f1)
    printf '{"architecture":"%s","config":%s,"created":"2025-01-01T00:00:00Z","history":[{"created":"2025-01-01T00:00:00Z"}],"os":"linux","rootfs":{"diff_ids":["sha256:%s"],"type":"layers"}}' \
        "$arch" "$config" "$digest" > "$work/config"
    id=$(sha256sum "$work/config" | cut -d' ' -f1)
    mkdir "$work/$digest"
    mv "$work/config" "$work/$id.json"
    mv "$layer" "$work/$digest/layer.tar"
    printf '[{"Config":"%s.json","Layers":["%s/layer.tar"],"RepoTags":["%s"]}]' \
        "$id" "$digest" "$name" > "$work/manifest.json"
    plain_tar "$work" manifest.json "$id.json" "$digest" > "$file"
    rm -rf "$work"
}

# plain_tar FOLDER MEMBER...: the same bytes for the same files, owned by root.
plain_tar() {
    local folder=$1
    shift
    tar -C "$folder" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner \
        --mtime="@$SOURCE_DATE_EPOCH" --mode='u+rw,go+r' -c "$@"
}
