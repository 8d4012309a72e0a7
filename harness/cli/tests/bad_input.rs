//! Bad input, through the real binary: exit code and message of each. No machine is switched on.
//!
//! `cargo test -p shakedown --test bad_input`.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use std::io::Write;
use std::path::Path;

use shakedown_core::Outcome;
use support::{Place, Run, SHAKEDOWN, by, guest, micro, one_by_one, trial};

fn main() {
    one_by_one(|| {
        vec![
            trial("names_that_do_not_exist_get_the_nearest_that_does", names),
            trial("a_line_that_cannot_be_understood_is_refused", usage),
            #[cfg(not(feature = "probe"))]
            trial("a_command_of_another_build_says_which_build_has_it", not_built),
            trial("a_rig_file_is_refused_at_its_place", rig_files),
            trial("private_boards_and_profiles_are_refused_at_their_place", private_boards),
            trial("private_suites_are_refused_at_their_place", private_suites),
            trial("ten_megabytes_of_garbage_are_refused_at_once", garbage),
            trial("damaged_images_say_what_is_wrong", damaged_images),
            trial("files_that_are_no_images_say_what_they_are", no_images),
            trial("an_image_whose_os_is_not_known_asks_for_it", unknown_os),
            trial("an_image_larger_than_the_disk_is_refused_before_the_boot", too_large),
            trial("a_missing_or_old_qemu_says_what_to_install", qemu),
            trial("an_output_folder_that_cannot_be_made_is_refused", output_folder),
            trial("a_held_slot_names_its_holder", held_slot),
            trial("nothing_selected_is_nothing_ran", nothing),
            trial("boards_are_listed_shown_and_checked", boards),
            trial("a_recording_is_looked_at_as_a_boot", replays),
            trial("a_new_board_is_proposed_from_a_log", new_boards),
            trial("a_dry_run_shows_the_steps_and_does_nothing", dry_runs),
            trial("imports_add_and_never_write_over", imports),
            trial("a_discontinued_board_is_refused_unless_it_is_meant", discontinued),
            trial("tools_of_a_slot_are_checked_and_missing_ones_are_named", tools),
            trial("schemas_are_json", schemas),
            trial("an_image_is_looked_into_without_mounting", image_info),
            trial("a_cut_and_an_edited_journal_render_and_say_so", journals),
            trial("the_list_shows_what_would_run", list),
            trial("a_reader_that_leaves_ends_nothing", closed_pipe),
            trial("a_rig_s_errors_are_all_told_at_their_places", rigs),
            trial("what_two_slots_name_is_told", shared),
            trial("sabotages_are_those_of_what_is_asked_for", sabotages),
        ]
    });
}

#[cfg(not(feature = "probe"))]
async fn not_built() {
    let place = Place::new();
    let probe = "probes: { mcu: { probe-rs: { probe: '1d50:6018', chip: any, description: /any } } }";
    place.file("rig.yaml", format!("rig: tests\nslots:\n  one:\n    board: any\n    {probe}\n"));
    for args in [&["probe", "list"][..], &["probe", "status", "one"]] {
        place.run(args).await.refused(
            2,
            "error: probe-rs: cannot open a driver: expected a build with the feature `probe`, got one without it\n \
             hint: build with `--features probe`",
        );
    }
    let drivers = place.run(&["drivers"]).await;
    drivers.says(0, &["  probe-rs\n", "(built without: needs the cargo feature `probe`)"]);
}

async fn names() {
    let place = Place::new();
    let board = "; did you mean `generic-amd64`?\n  help: 161 are known: `shakedown boards list` shows them";
    for (args, err) in [
        (&["run", "--board", "generic-amd46"][..], format!("error: unknown board `generic-amd46`{board}")),
        (&["boards", "show", "generic-amd46"], format!("error: unknown board `generic-amd46`{board}")),
        (
            &["run", "--slot", "amd46"],
            "error: no slot `amd46` in the built-in QEMU rig\n hint: did you mean `amd64`? \
             There are: aarch64 (generic-aarch64), amd64 (generic-amd64), pi3 (raspberrypi3-64)"
                .into(),
        ),
        (
            &["run", "--case", "os::swap::zram-sice"],
            "error: no case `os::swap::zram-sice`; did you mean `os::swap::zram-size`?".into(),
        ),
        (&["run", "--selection", "dem"], "error: no selection `dem`; did you mean `demo`?".into()),
        (&["run", "--suite", "oss"], "error: no suite `oss`; did you mean `os`?".into()),
        (&["run", "--path", "nowhere", "--board", "generic-amd64"], "error: nowhere: is no folder".into()),
    ] {
        place.run(args).await.refused(2, &err);
    }
    micro::documents(&place, "4s");
    let image = place.file("good.img", guest::image(&guest::good()));
    micro::disk_rig(&place);
    place
        .run(&["run", "--path", "private", "--image", image.to_str().unwrap(), "--os", "mikro"])
        .await
        .refused(
            2,
            "error: unknown OS profile `mikro`; did you mean `micro`?\n  \
         help: known: balenaos, micro, micro-login, micro-mute, micro-other, micro-refused, reference",
        );
}

async fn usage() {
    let mut place = Place::new();
    place.run(&["run", "--bord", "x"]).await.says(2, &["unexpected argument '--bord'", "'--board'"]);
    place.run(&["run", "--repeat", "0"]).await.says(2, &["invalid value '0' for '--repeat <N>'", "1..=1000"]);
    place.run(&["schema", "bord"]).await.says(2, &["invalid value 'bord'", "'board'"]);
    place.run(&[]).await.says(2, &["Usage: shakedown", "Exit codes:"]);
    place.run(&["--version"]).await.says(0, &["shakedown "]);
    let what =
        "error: --companion `update.tar`: expected ROLE=FILE\n hint: for example --companion update=FILE";
    place.run(&["run", "--board", "generic-amd64", "--companion", "update.tar"]).await.refused(2, what);
    let what =
        "error: --companion update=nowhere.tar: cannot be read: No such file or directory (os error 2)";
    place
        .run(&["run", "--board", "generic-amd64", "--companion", "update=nowhere.tar"])
        .await
        .refused(2, what);
    // A slot in the environment is what a person works with; a board on the line is what they mean now.
    place.env("SHAKEDOWN_SLOT", "aarch64");
    place.run(&["run", "--board", "generic-amd46"]).await.says(2, &["unknown board `generic-amd46`"]);
}

async fn rig_files() {
    let place = Place::new();
    let slot =
        |inside: &str| format!("rig: x\nslots:\n  a: {{ board: generic-amd64, qemu: {{ {inside} }} }}\n");
    for (text, lines) in [
        (
            slot("machine: q35, memroy: 1GiB"),
            &[
                "error: rig.yaml:3:52: slots.a.qemu.memroy: unknown field `memroy`; did you mean `memory`?\n",
                " 3 |   a: { board: generic-amd64, qemu: { machine: q35, memroy: 1GiB } }\n",
                "   |                                                    ^^^^^^\n",
                "  help: fields: `machine`, `cpus`, `memory`, ",
            ][..],
        ),
        (
            slot("machine: q35, cpus: many"),
            &[
                "error: rig.yaml:3:58: slots.a.qemu.cpus: expected a whole number from 0 to 255, got the text \"many\"\n",
            ],
        ),
        (
            slot("machine: q35, memory: 1GiB, memory: 2GiB"),
            &["error: rig.yaml:3:66: slots.a.qemu: `memory` stands here twice (first on line 3)\n"],
        ),
        (
            slot("machine: q35, cpus: 99"),
            &["error: rig.yaml:3:58: slots.a.qemu.cpus: expected 1 to 16, got 99\n"],
        ),
        (
            slot("machine: q36"),
            &["error: rig.yaml:3:47: slots.a.qemu.machine: ", "`q36`", "did you mean `q35`?"],
        ),
        ("rig: x\nslots: {}\n".into(), &["error: rig.yaml:2:8: slots: a rig has at least one slot\n"]),
        (
            "rig: x\nslots:\n  a: { board: generic-amd64 }\n".into(),
            &["error: rig.yaml:3:3: slots.a.consoles: `main` is missing: boots are watched on it\n"],
        ),
        (
            slot("machine: q35").replace("amd64", "amd46"),
            &[
                "error: rig.yaml:3:15: slots.a.board: unknown board `generic-amd46`; did you mean `generic-amd64`?\n",
            ],
        ),
        (String::new(), &["error: rig.yaml:1:1: the document is empty\n"]),
        ("rig: [unclosed\n".into(), &["error: rig.yaml:"]),
    ] {
        place.file("rig.yaml", &text);
        let ran = place.run(&["run", "--slot", "a", "--rig", "rig.yaml"]).await;
        ran.says(2, lines);
        assert!(ran.out.is_empty(), "{}", ran.all());
        // The same file is found without being named.
        let found = place.run(&["run", "--slot", "a"]).await;
        assert_eq!((found.code, &found.err), (ran.code, &ran.err));
    }
    place
        .run(&["run", "--slot", "a", "--rig", "nowhere.yaml"])
        .await
        .refused(2, "error: nowhere.yaml: cannot be read: No such file or directory (os error 2)");
    place.file("rig.yaml", "rig: x\nslots:\n  a: { board: generic-amd64, qemu: { machine: q35 } }\n  b: { board: generic-amd64, qemu: { machine: q35 } }\n");
    place.run(&["run"]).await.refused(
        2,
        "error: rig.yaml has several slots\n hint: say which with --board or --slot: a (generic-amd64), b (generic-amd64)",
    );
}

async fn private_boards() {
    let place = Place::new();
    let board = "board: mine\nextends: pc\nname: Mine\nprovision: { disk-image: {} }\n";
    for (file, text, lines) in [
        (
            "catalogue/mine.yaml",
            board.replace("name", "nmae"),
            &[
                "catalogue/mine.yaml:3:1: nmae: unknown field `nmae`; did you mean `name`?\n",
                " 3 | nmae: Mine\n",
                "   | ^^^^\n",
            ][..],
        ),
        (
            "catalogue/mine.yaml",
            format!("{board}baud: fast\n"),
            &[
                "catalogue/mine.yaml:5:7: baud: expected a whole number from 0 to 4294967295, got the text \"fast\"\n",
            ],
        ),
        (
            "catalogue/mine.yaml",
            format!("{board}name: Twice\n"),
            &["catalogue/mine.yaml:5:1: `name` stands here twice (first on line 3)\n"],
        ),
        (
            "catalogue/mine.yaml",
            board.replace("pc", "ring-a"),
            &["families/ring-b.yaml:2:10: extends: goes in a circle: ring-a → ring-b → ring-a\n"],
        ),
        (
            "catalogue/mine.yaml",
            board.replace("pc", "pd"),
            &["catalogue/mine.yaml:2:10: extends: unknown family `pd`; did you mean `pc`?\n"],
        ),
        (
            "catalogue/mine.yaml",
            format!("{board}boot: {{ bad: [{{ id: x, pattern: '(', says: x, blame: os }}] }}\n"),
            &["catalogue/mine.yaml:5:33: boot.bad[0].pattern: "],
        ),
    ] {
        place.file("private/families/ring-a.yaml", "family: ring-a\nextends: ring-b\n");
        place.file("private/families/ring-b.yaml", "family: ring-b\nextends: ring-a\n");
        place.file(&format!("private/{file}"), text);
        let first = place.run(&["boards", "show", "mine", "--path", "private"]).await;
        first.says(2, &["error: private/"]);
        first.says(2, lines);
        // The circle of families is one more error of `check` where nobody extends it.
        place.run(&["boards", "check", "--path", "private"]).await.says(2, lines);
        let listed = place.run(&["boards", "list", "--path", "private"]).await;
        listed.says(0, &["generic-amd64", "mine ", "broken: "]);
        place.run(&["run", "--board", "mine", "--path", "private"]).await.says(2, lines);
    }
}

async fn private_suites() {
    let place = Place::new();
    let suite = "module: mine::looks
cases:
  - id: answers
    title: the DUT answers
    effect: read-only
    within: 10s
    check:
      - run: echo up
        says: the DUT does not answer
        expect: { matches: ['up'] }
    sabotage:
      - { id: none, edits: [{ shell: 'false' }], must-say: nothing }
";
    for (text, lines) in [
        (
            suite.replace("title", "titel"),
            &["looks.yaml:4:5: cases[0].titel: unknown field `titel`; did you mean `title`?\n"][..],
        ),
        (suite.replace("10s", "10"), &["looks.yaml:6:13: cases[0].within: "]),
        (
            suite.replace("read-only", "read-onyl"),
            &["looks.yaml:5:13: cases[0].effect: ", "did you mean `read-only`?"],
        ),
        (suite.replace("'up'", "'(up'"), &["looks.yaml:10:", "cases[0].check[0].expect.matches[0]", "`(up`"]),
        (suite.replace("echo up", "echo {nonsense}"), &["looks.yaml:8:", "nonsense"]),
        (suite.replace("    within: 10s\n", ""), &["looks.yaml:3:5: cases[0]: `within` is missing\n"]),
    ] {
        place.file("private/suites/mine/looks.yaml", &text);
        for args in [&["run", "--list"][..], &["run", "--board", "generic-amd64"]] {
            let ran = place.run(&[args, &["--path", "private"]].concat()).await;
            ran.says(2, lines);
            assert!(ran.err.starts_with("error: private/suites/mine/looks.yaml:"), "{}", ran.all());
        }
    }
    place.file("private/suites/mine/looks.yaml", suite);
    place
        .run(&["run", "--list", "--path", "private", "--suite", "mine"])
        .await
        .says(0, &["mine::looks::answers  the DUT answers"]);
}

/// Bytes.
const GARBAGE: usize = 10_000_000;

/// Random bytes, brackets without end, and one long line: none may take time or memory.
async fn garbage() {
    let place = Place::new();
    let mut state = 1_u32;
    let noise = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let random: Vec<u8> = (0..GARBAGE).map(noise).collect();
    let deep = "[".repeat(1_000_000).into_bytes();
    let aliases = format!("rig: &a [x]\nslots: [{}]\n", "*a, ".repeat(200_000)).into_bytes();
    for (bytes, what) in [
        (random.clone(), "larger than 1024 KiB (10000000 bytes): no document of ours is"),
        (vec![b'a'; GARBAGE], "larger than 1024 KiB (10000000 bytes): no document of ours is"),
        (random[..1_000_000].to_vec(), "UTF-8"),
        (deep, ""),
        (aliases, ""),
    ] {
        for (file, args) in [
            ("rig.yaml", &["run", "--slot", "a"][..]),
            ("private/catalogue/mine.yaml", &["boards", "show", "mine", "--path", "private"]),
            ("private/os/mine.yaml", &["boards", "check", "--path", "private"]),
            ("private/suites/mine/looks.yaml", &["run", "--list", "--path", "private"]),
        ] {
            let path = place.file(file, &bytes);
            let began = std::time::Instant::now();
            let ran = place.run(args).await;
            assert!(ran.err.starts_with(&format!("error: {file}")), "{}", &ran.all()[..500]);
            ran.says(2, &[what]);
            assert!(ran.err.len() < 4000, "{} bytes of message", ran.err.len());
            assert!(began.elapsed().as_secs() < 20, "{file}: {:?}", began.elapsed());
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// Random data in the middle, so that every container is several blocks long.
fn disk() -> Vec<u8> {
    let mut disk = guest::image(&guest::good());
    let mut state = 7_u32;
    for byte in &mut disk[3 << 20..4 << 20] {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    disk
}

async fn damaged_images() {
    let place = Place::new();
    let disk = disk();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&disk).unwrap();
    let gz = gz.finish().unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&disk).unwrap();
    let xz = xz.finish().unwrap();
    let mut zst = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zst.include_checksum(true).unwrap();
    zst.write_all(&disk).unwrap();
    let zst = zst.finish().unwrap();
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        bytes
    };
    let cut = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let trailing = |bytes: &[u8]| [bytes, b"something else"].concat();
    for (name, bytes, what) in [
        ("a.img.gz", cut(&gz), "truncated: expected "),
        ("a.img.xz", cut(&xz), "truncated: expected "),
        ("a.img.zst", cut(&zst), "truncated: expected "),
        ("a.img.gz", flipped(&gz), "corrupt near byte "),
        ("a.img.xz", flipped(&xz), "corrupt near byte "),
        ("a.img.zst", flipped(&zst), "corrupt near byte "),
        ("a.img.gz", trailing(&gz), "expected the end of the gzip data at byte "),
        ("a.img.zst", trailing(&zst), "expected the end of the zstd data at byte "),
        ("a.img", disk[..2 << 20].to_vec(), "not bootable: "),
    ] {
        place.file(name, &bytes);
        let run = ["run", "--slot", "amd64", "--os", "reference", "--image", name];
        // Reading is the same code for both: one kind of damage is enough for `run`.
        let both = [&["image", "info", name][..], &run];
        for args in both.iter().take(if what.starts_with("corrupt") { 2 } else { 1 }) {
            let ran = place.run(args).await;
            ran.says(2, &[what]);
            assert!(ran.err.starts_with(&format!("error: image {name} refused: {what}")), "{}", ran.all());
        }
    }
    for (name, bytes) in [("a.img.gz", &gz), ("a.img.xz", &xz), ("a.img.zst", &zst), ("a.img", &disk)] {
        place.file(name, bytes);
        let sha = shakedown_core::Sha::of(&disk).to_string();
        place.run(&["image", "info", name]).await.says(0, &[&sha, "MICRO-BOOT"]);
    }
}

async fn no_images() {
    let place = Place::new();
    place.file("empty.img", "");
    place.file("text.img", "hello\n".repeat(1000));
    place.file("zeros.img", vec![0; 1 << 20]);
    place.file("one.img", "x");
    std::fs::create_dir(place.path("folder.img")).unwrap();
    let mut zip = zip::ZipWriter::new(std::fs::File::create(place.path("two.zip")).unwrap());
    for name in ["a.img", "b.img"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&disk()).unwrap();
    }
    zip.finish().unwrap();
    for (name, what) in [
        ("empty.img", "expected a disk image, got an empty file"),
        ("folder.img", "expected a regular file, got a directory"),
        ("two.zip", "expected exactly one file in the zip, got 2: a.img, b.img"),
        ("nowhere.img", "cannot open: No such file or directory (os error 2)"),
        ("text.img", "not a disk image: expected a partition table (GPT or MBR) or an ISO 9660 volume, got "),
        (
            "zeros.img",
            "not a disk image: expected a partition table (GPT or MBR) or an ISO 9660 volume, got ",
        ),
        ("one.img", "not a disk image: expected a partition table (GPT or MBR) or an ISO 9660 volume, got "),
    ] {
        for args in
            [&["run", "--slot", "amd64", "--os", "reference", "--image", name][..], &["image", "info", name]]
        {
            let ran = place.run(args).await;
            ran.says(2, &[]);
            assert!(ran.err.starts_with(&format!("error: image {name} refused: {what}")), "{}", ran.all());
        }
    }
}

async fn unknown_os() {
    let place = Place::new();
    place.file("other.img", guest::image(&guest::good()));
    place.run(&["run", "--slot", "amd64", "--image", "other.img"]).await.refused(
        2,
        "error: other.img shows no os-release, so its OS is not known\n hint: say which with --os: balenaos, reference",
    );
}

/// The run begins, for only its slot knows how large the disk is; the DUT is never switched on.
async fn too_large() {
    let place = Place::new();
    micro::documents(&place, "4s");
    micro::disk_rig(&place);
    let mut image = guest::image(&guest::good());
    image.resize((guest::DISK + 512) as usize, 0);
    place.file("large.img", &image);
    let ran = place
        .run(&["run", "--path", "private", "--suite", "micro", "--os", "micro", "--image", "large.img"])
        .await;
    ran.says(2, &["large.img does not fit: expected a medium of at least 8389120 bytes, got 8388608 bytes"]);
    let run = Run::read(&place.last());
    run.ended(ran.code, 2);
    let (outcome, blame, because) = run.step("write image").failed.clone().expect("it failed");
    assert_eq!((outcome.word(), blame.word(), because.as_str()), ("fail", "image", "image-refused"));
    assert_eq!(run.ledger.boots, []);
    assert_eq!(run.case("micro::looks::answers").outcome.as_ref().unwrap().headline(), "needs write image");
}

async fn qemu() {
    let mut place = Place::new();
    micro::documents(&place, "4s");
    micro::disk_rig(&place);
    place.file("good.img", guest::image(&guest::good()));
    let args = ["run", "--path", "private", "--suite", "micro", "--os", "micro", "--image", "good.img"];
    std::fs::create_dir(place.path("bin")).unwrap();
    place.env("PATH", place.path("bin").display().to_string());
    place.run(&args).await.refused(
        3,
        "error: qemu-system-x86_64: cannot start `qemu-system-x86_64 --version`: No such file or directory (os error 2)\n \
         hint: install it: apt-get install qemu-system-x86",
    );
    let old = place
        .file("bin/qemu-system-x86_64", "#!/bin/sh\necho 'QEMU emulator version 5.2.0 (Debian 1:5.2)'\n");
    std::fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    place.run(&args).await.refused(
        3,
        "error: qemu: cannot use qemu-system-x86_64: expected QEMU 7.2.0 or newer, got QEMU 5.2.0\n \
         hint: Debian 12 and newer have it: apt-get install qemu-system-x86",
    );
    // It was a run all the same: its folder says what stood in the way.
    let run = Run::read(&place.last());
    assert!(
        matches!(&run.step("preflight").failed, Some((Outcome::Infra(fault), ..)) if fault.op == "use"),
        "{:?}",
        run.ledger.steps
    );
    run.ended(Some(3), 3);
    place
        .run(&["report", "out/latest"])
        .await
        .says(0, &["qemu-system-x86_64", "report: out/latest/report.html"]);
}

async fn output_folder() {
    let place = Place::new();
    micro::documents(&place, "4s");
    micro::disk_rig(&place);
    place.file("good.img", guest::image(&guest::good()));
    place.file("taken", "a file");
    let args =
        ["run", "--path", "private", "--suite", "micro", "--os", "micro", "--image", "good.img", "--out"];
    // Root may write everywhere but below a file and in /proc.
    for (out, why) in
        [("taken", "Not a directory (os error 20)"), ("/proc/out", "No such file or directory (os error 2)")]
    {
        let ran = place.run(&[&args[..], &[out]].concat()).await;
        ran.says(
            2,
            &[
                &format!("error: cannot make the run's folder {out}/"),
                &format!(": {why}\n hint: name another place with --out"),
            ],
        );
    }
}

async fn held_slot() {
    let mut place = Place::new();
    micro::documents(&place, "4s");
    micro::disk_rig(&place);
    place.file("good.img", guest::image(&guest::good()));
    let limit = by("slot lock", 10);
    let folder = place.path("runtime/slots");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(place.path("runtime"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .unwrap();
    let lock =
        shakedown_host::lock::acquire(&folder, "tests", "one", "shakedown run --keep", &limit).await.unwrap();
    let args = ["run", "--path", "private", "--suite", "micro", "--os", "micro", "--image", "good.img"];
    let ran = place.run(&args).await;
    let me = format!("error: tests/one is held by root (process {}) since 20", std::process::id());
    ran.says(3, &[": `shakedown run --keep`\n hint: wait for it, or take another slot"]);
    assert!(ran.err.starts_with(&me) || ran.err.contains("is held by "), "{}", ran.all());
    assert!(!place.path("out").exists(), "nothing was begun");
    drop(lock);
    // Another user, or the same one outside of a login session, meets at the same file.
    let rig = format!("tests-{}", std::process::id());
    let text = std::fs::read_to_string(place.path("rig.yaml")).unwrap();
    place.file("rig.yaml", text.replace("rig: tests", &format!("rig: {rig}")));
    let shared = std::path::Path::new("/var/tmp/shakedown-locks");
    let lock = shakedown_host::lock::acquire(shared, &rig, "one", "another's run", &limit).await.unwrap();
    let own = place.path("runtime").display().to_string();
    std::fs::create_dir(place.path("session")).unwrap();
    place.env("SHAKEDOWN_RUNTIME", "");
    for session in [place.path("session").display().to_string(), String::new()] {
        place.env("XDG_RUNTIME_DIR", session);
        place.run(&args).await.says(3, &["one is held by ", ": `another's run`"]);
    }
    let file = shared.join(shakedown_host::lock::file_name(&rig, "one") + ".lock");
    let mode = |path: &std::path::Path| {
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions())
    };
    assert_eq!((mode(&file) & 0o777, mode(shared) & 0o7777), (0o666, 0o1777));
    drop(lock);
    std::fs::remove_file(file).unwrap();
    place.env("SHAKEDOWN_RUNTIME", own);
    // Free again: the next thing that is wrong is said.
    std::fs::create_dir(place.path("bin")).unwrap();
    place.env("PATH", place.path("bin").display().to_string());
    place.run(&args).await.says(3, &["apt-get install qemu-system-x86"]);
}

async fn nothing() {
    let place = Place::new();
    let args = ["run", "--board", "generic-amd64", "--selection", "quick", "--case", "update::*"];
    place.run(&args).await.refused(
        5,
        "error: no case is selected\n hint: `quick update::*` leaves nothing; `shakedown run --list` shows what there is",
    );
    place.run(&[&args[..], &["--list"]].concat()).await.says(5, &["0 cases in `quick update::*`"]);
}

async fn boards() {
    let place = Place::new();
    let listed = place.run(&["boards", "list"]).await;
    listed.says(0, &["generic-aarch64 ", "generic-amd64 ", "Generic x86_64 (GPT)"]);
    assert_eq!(listed.out.lines().count(), 161, "{}", listed.all());
    let some = place
        .run(&[
            "boards",
            "list",
            "--arch",
            "aarch64",
            "--family",
            "bcm2711",
            "--provision",
            "sd-card",
            "--capability",
            "wifi",
        ])
        .await;
    some.says(0, &["raspberrypi4-64 ", "raspberrypi400-64 "]);
    assert!(some.out.lines().count() < 8 && !some.out.contains("cm4"), "{}", some.all());
    place.run(&["boards", "list", "--family", "no-such"]).await.says(5, &[]);
    place
        .run(&["boards", "show", "generic-amd64"])
        .await
        .says(0, &["Generic x86_64 (GPT) (generic-amd64)", "boot stages   firmware, "]);
    let resolved = place.run(&["boards", "show", "generic-amd64", "--resolved"]).await;
    resolved.says(0, &["# boards/catalogue/generic-amd64.yaml:", "# boards/families/linux.yaml:"]);
    place.run(&["boards", "check"]).await.says(0, &["161 board(s), 2 OS profile(s): 0 error(s)"]);
    let sources = place.run(&["boards", "show", "beaglebone", "--sources"]).await;
    sources.says(
        0,
        &["beaglebone-black", "# contract: balena-io/contracts a4ab96e", "# curated: vendor knowledge"],
    );
    let differ = place.run(&["boards", "diff", "raspberrypi3", "raspberrypi3-64"]).await;
    differ.says(0, &["arch\n  - armv7hf\n  + aarch64\n"]);
    let told = place.run(&["boards", "explain", "jetson-nano"]).await;
    told.says(0, &["Provisioning: tegra-recovery", "outputs.recovery", "J40 pins 3 (FC REC)", "*unknown*"]);
}

async fn replays() {
    let place = Place::new();
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards/recordings");
    let file = |name: &str| recordings.join(name).display().to_string();
    let replay = |name: &str, board: &'static str| {
        let file = file(name);
        let place = &place;
        async move { place.run(&["replay", &file, "--board", board]).await }
    };
    replay("generic-amd64/reference-boot.cast", "generic-amd64").await.says(
        0,
        &[
            "firmware            -    not shown, which it may",
            "kernel          7.4",
            "Linux version 6.1.0",
            "cannot show: shell, ready",
            "up, as far as",
        ],
    );
    let none = replay("generic-aarch64/edk2-no-medium.cast", "generic-aarch64").await;
    none.says(
        1,
        &[
            "failed: the UEFI firmware finds nothing to boot",
            "known-bad line `uefi-nothing-to-boot`",
            "login               -    not reached",
        ],
    );
    // A kernel that QEMU starts itself, where the board wants GRUB before it.
    let direct = replay("generic-amd64/panic-no-root.cast", "generic-amd64").await;
    direct.says(3, &["failed: kernel was seen before bootloader"]);
    replay("generic-amd64/floating-line.cast", "generic-amd64").await.says(3, &["failed: "]);
    // Another board's stages are not these.
    replay("generic-aarch64/reference-uboot.cast", "generic-aarch64").await.says(0, &["U-Boot 20"]);
    // An OS that is silent by design: what a console shows counts all the same, and nothing is no proof.
    let silent = |file: String| {
        let place = &place;
        async move { place.run(&["replay", "--board", "generic-amd64", "--os", "balenaos", &file]).await }
    };
    let up = silent(file("generic-amd64/reference-boot.cast")).await;
    up.says(0, &["Linux version 6.1.0", "up, as far as"]);
    let says = [
        (
            "panic",
            1,
            "Linux version 6.1\\r\\nKernel panic - not syncing: VFS\\r\\n",
            "known-bad line `kernel-panic`",
        ),
        ("hello", 3, "hello\\r\\n", "nothing that it shows is a stage: whether it came up stays open"),
    ];
    for (name, exit, said, want) in says {
        let cast = place.file(
            name,
            format!("{{\"version\": 2, \"width\": 80, \"height\": 24}}\n[1.0, \"o\", \"{said}\"]\n"),
        );
        silent(cast.display().to_string()).await.says(exit, &[want]);
    }
    place.file("broken.cast", "{\"version\": 2}\n[0.1, \"o\"\n[0.2, \"o\", \"x\"]\n");
    place.run(&["replay", "broken.cast", "--board", "generic-amd64"]).await.says(2, &["broken.cast: line 2"]);
    place
        .run(&["replay", "none.cast", "--board", "generic-amd64"])
        .await
        .says(2, &["none.cast: No such file"]);
}

const RIG: &str = "rig: desk
slots:
  pi4:
    board: raspberrypi4-64
    power: { manual: {} }
    consoles: { main: { command: { run: [cat] } } }
    media: { main: { file: { path: /tmp/x.img, size: 8GiB } } }
  cm4:
    board: raspberrypicm4-ioboard
    power: { manual: {} }
    outputs: { boot-switch: { manual: {} } }
    consoles: { main: { command: { run: [cat] } } }
    media: { main: { block-device: { path: /dev/disk/by-path/none, max-size: 8GiB } } }
    tools: { rpiboot: { run: [/no/such/rpiboot], version: { run: [cat, /x], is: '1' } } }
  nano:
    board: jetson-nano
    power: { manual: {} }
    consoles: { main: { command: { run: [cat] } } }
";

async fn dry_runs() {
    let place = Place::new();
    place.file("rig.yaml", RIG);
    place.file("x.img", guest::image(&guest::good()));
    let dry = |slot: &'static str| ["provision", slot, "x.img", "--dry-run"];
    let card = place.run(&dry("pi4")).await;
    card.says(
        0,
        &["x.img onto raspberrypi4-64 in desk/pi4, by sd-card", " 4. read-back-main: read `main` back"],
    );
    assert!(!card.out.contains("not built"), "{}", card.all());
    let missing = "nothing would be switched: tools.rpiboot: this host has no program `/no/such/rpiboot`";
    let usb = place.run(&dry("cm4")).await;
    usb.says(3, &[" 1. check-tool: look whether rpiboot", "load the mass storage loader over USB", missing]);
    assert!(!usb.out.contains("not built"), "{}", usb.all());
    place.run(&dry("nano")).await.says(
        2,
        &[
            "slot nano lacks what tegra-recovery needs:",
            "outputs.recovery: the recovery contact: carrier A02: J40 pins 3",
            "network: the running system is asked",
            "`shakedown boards explain jetson-nano`",
        ],
    );
    place.run(&["provision", "pi4", "none.img", "--dry-run"]).await.says(2, &["none.img: cannot be read"]);
    place
        .run(&["provision", "pi5", "x.img", "--dry-run"])
        .await
        .says(2, &["no slot `pi5`", "did you mean `pi4`?"]);
    // What cannot be executed is refused before anything is made, opened or asked.
    let run = place.run(&["provision", "nano", "x.img", "--os", "reference", "--out", "out"]).await;
    run.says(2, &["slot nano lacks what tegra-recovery needs:"]);
    let file = RIG.replace(
        "{ block-device: { path: /dev/disk/by-path/none, max-size: 8GiB } }",
        "{ file: { path: x, size: 8GiB } }",
    );
    place.file("rig.yaml", file);
    let refused = "slots.cm4.media.main: raspberrypicm4-ioboard shows its own storage as a disk of this host: `block-device`";
    place.run(&["rigs", "check"]).await.says(2, &[refused]);
    assert!(!place.path("out").exists());
    assert!(!std::path::Path::new("/tmp/x.img").exists());
}

async fn new_boards() {
    let place = Place::new();
    let log = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../boards/recordings/generic-aarch64/reference-uboot.cast");
    let log = log.display().to_string();
    let args = ["boards", "new", "my-board", "--from-log", &log];
    place
        .run(&args)
        .await
        .says(0, &["board: my-board", "arch: aarch64  # reference-uboot.cast:", "tty: [ttyAMA0]"]);
    // The screen behind it is none that we read.
    place.file(
        "screen.log",
        "[    0.0] Kernel command line: root=/dev/x console=ttyS2,1500000 console=tty1 quiet\n",
    );
    place
        .run(&["boards", "new", "x", "--from-log", "screen.log"])
        .await
        .says(0, &["tty: [ttyS2]", "baud: 1500000"]);
    let into = [&args[..], &["--into", "own"]].concat();
    place.run(&into).await.says(0, &["own/catalogue/my-board.yaml: fill the gaps"]);
    place.run(&into).await.says(2, &["own/catalogue/my-board.yaml is there already"]);
    // It says itself what it lacks.
    place.run(&["--path", "own", "boards", "check"]).await.says(2, &["my-board.yaml:3:1", "is missing"]);
    place.run(&["boards", "new", "x", "--from-log", "none.log"]).await.says(2, &["none.log: No such file"]);
    place.run(&["boards", "new", "x", "--family", "ubot"]).await.says(2, &["unknown family `ubot`"]);
}

/// What is there already is a person's: it is compared, and never written over.
async fn imports() {
    let place = Place::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards/tests/device-types.json");
    let file = file.display().to_string();
    let args = ["boards", "import", &file, "--into", "own"];
    place.run(&[&args[..], &["--dry-run"]].concat()).await.says(0, &["161 would be new, 0 as they are"]);
    assert!(!place.path("own").exists());
    place.run(&args).await.says(0, &["161 written, 0 as they are, 0 kept by hand"]);
    let board = place.path("own/catalogue/raspberrypi4-64.yaml");
    let text = std::fs::read_to_string(&board).unwrap();
    let changed = text.replace("Raspberry Pi 4", "My Pi");
    std::fs::write(&board, &changed).unwrap();
    place.run(&args).await.says(
        0,
        &[
            "0 written, 160 as they are, 1 kept by hand",
            "raspberrypi4-64: name: the file says My Pi (using 64bit OS)",
        ],
    );
    assert_eq!(std::fs::read_to_string(&board).unwrap(), changed);
    place.file("none.json", b"[1, 2]");
    let refused = place.run(&["boards", "import", "none.json", "--into", "own"]).await;
    refused.says(2, &["none.json: not a document of device types: "]);
}

/// No new rig for a board that its vendor gave up, unless it is meant.
async fn discontinued() {
    let place = Place::new();
    let rig = "rig: old\nslots:\n  a:\n    board: parallella\n    consoles: { main: { command: { run: [cat] } } }\n    \
               power: { manual: {} }\n    media: { main: { file: { path: /tmp/x.img, size: 8GiB } } }\n";
    place.file("rig.yaml", rig.as_bytes());
    let refused = place.run(&["rigs", "check", "--rig", "rig.yaml"]).await;
    refused
        .says(2, &["rig.yaml:4:12: slots.a.board: parallella is discontinued", "allow-discontinued: true"]);
    let allowed = rig.replace("board: parallella", "board: parallella\n    allow-discontinued: true");
    place.file("rig.yaml", allowed.as_bytes());
    place.run(&["rigs", "check", "--rig", "rig.yaml"]).await.says(0, &["1 slot(s), 0 error(s)"]);
}

/// What two slots have at once is one's and not the other's. A person may stand behind both.
async fn shared() {
    let place = Place::new();
    let slot = "    board: raspberrypi4-64\n    power: { manual: {} }\n    outputs: { reset: { gpio: { chip: a, line: 3 } } }\n    \
                consoles: { main: { serial: { port: /dev/ttyUSB0 } } }\n    media: { main: { file: { path: disk, size: 8GiB } } }\n";
    place.file("desk.yaml", format!("rig: desk\nslots:\n  one:\n{slot}  two:\n{slot}"));
    place.run(&["rigs", "check", "desk"]).await.says(
        2,
        &[
            "desk.yaml:12:23: slots.two.outputs.reset: the same device as slots.one.outputs.reset: ",
            "desk.yaml:13:23: slots.two.consoles.main: the same device as slots.one.consoles.main: ",
            "2 slot(s), 2 error(s)",
        ],
    );
}

async fn schemas() {
    let place = Place::new();
    for kind in ["rig", "board", "family", "os", "sources", "module", "selection"] {
        let ran = place.run(&["schema", kind]).await;
        ran.says(0, &["\"$schema\"", "\"additionalProperties\": false"]);
        serde_json::from_str::<serde::de::IgnoredAny>(&ran.out).unwrap();
    }
}

async fn image_info() {
    let place = Place::new();
    let bytes = guest::image(&guest::good());
    place.file("good.img", &bytes);
    let sha = shakedown_core::Sha::of(&bytes).to_string();
    let ran = place.run(&["image", "info", "good.img"]).await;
    ran.says(
        0,
        &[
            "good.img\n  5242880 bytes of payload (raw)\n",
            &sha,
            "MICRO-BOOT",
            "config.json on partition 1\n  {}\n",
        ],
    );
    let json = place.run(&["image", "info", "good.img", "--json"]).await;
    json.says(0, &[&sha, "\"MICRO-BOOT\""]);
    serde_json::from_str::<serde::de::IgnoredAny>(&json.out).unwrap();
}

/// A run that ends before the boot gives a real journal.
async fn journals() {
    let place = Place::new();
    micro::documents(&place, "4s");
    micro::disk_rig(&place);
    let mut image = guest::image(&guest::good());
    image.resize((guest::DISK + 512) as usize, 0);
    place.file("large.img", &image);
    place
        .run(&["run", "--path", "private", "--suite", "micro", "--os", "micro", "--image", "large.img"])
        .await;
    let journal = std::fs::read_to_string(place.last().join("journal.jsonl")).unwrap();
    let lines: Vec<_> = journal.split_inclusive('\n').collect();
    assert!(lines.len() > 8, "{journal}");
    let whole = place.run(&["report", place.last().to_str().unwrap()]).await;
    whole.says(0, &["report: "]);
    for keep in 1..lines.len() {
        let text = lines[..keep].concat() + &lines[keep][..lines[keep].len() / 2];
        place.file("cut/journal.jsonl", text);
        let ran = place.run(&["report", "cut"]).await;
        ran.says(0, &["report: cut/report.html", "cut"]);
        let run = Run::read(&place.path("cut"));
        assert_ne!(run.ledger.problems, [], "after {keep} lines");
        assert!(run.results.is_some_and(|results| !results.problems.is_empty()));
        let html = std::fs::read_to_string(place.path("cut/report.html")).unwrap();
        assert!(html.contains("large.img"), "the report of {keep} lines");
    }
    // A letter of a line in the middle: the chain of hashes shows where.
    let place_of_edit = lines.len() / 2;
    let edited: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            if index == place_of_edit {
                line.replacen("write image", "wrote image", 1).replacen("\"seq\"", "\"seq\" ", 1)
            } else {
                (*line).to_owned()
            }
        })
        .collect();
    let edited = edited.concat();
    assert_ne!(edited, journal);
    place.file("edited/journal.jsonl", edited);
    place.run(&["report", "edited"]).await.says(3, &["report: edited/report.html"]);
    let run = Run::read(&place.path("edited"));
    assert_ne!(run.ledger.problems, []);
    let html = std::fs::read_to_string(place.path("edited/report.html")).unwrap();
    assert!(html.contains("changed") || html.contains("edited"), "the report says so");
    place.run(&["report", "edited", "--html", "only.html"]).await.says(0, &[]);
    assert!(place.path("only.html").is_file());
    // Killed within its first line, or before it.
    for text in ["", &lines[0][..lines[0].len() / 3], &lines[0][..6]] {
        place.file("begun/journal.jsonl", text);
        place.run(&["report", "begun"]).await.says(0, &["report: begun/report.html"]);
        let html = std::fs::read_to_string(place.path("begun/report.html")).unwrap();
        assert!(html.contains("before the run began"), "{text}: {html}");
    }
    place.file("none/journal.jsonl", "not a journal");
    place.run(&["report", "none"]).await.says(2, &["is not a journal of a run"]);
    place.file("none/journal.jsonl", "not a journal\n");
    place.run(&["report", "none"]).await.refused(
        2,
        "error: none/journal.jsonl is not a journal of a run\n hint: give a run's folder, for example shakedown-out/latest",
    );
    place
        .run(&["report", "nowhere"])
        .await
        .refused(2, "error: cannot read nowhere: No such file or directory (os error 2)");
}

async fn list() {
    let place = Place::new();
    let ran = place.run(&["run", "--list", "--selection", "demo"]).await;
    ran.says(0, &["os::swap::zram-size  ", " cases in `demo`\n"]);
    let all = place.run(&["run", "--list", "--selection", "all"]).await;
    assert!(all.out.lines().count() >= 41, "at least 40 leaf cases: {}", all.all());
    assert!(ran.out.lines().count() >= 31, "at least 30 in the demo: {}", ran.all());

    // With a slot, the list says what it does not offer.
    let slot = place.run(&["run", "--list", "--selection", "all", "--board", "generic-amd64"]).await;
    slot.says(0, &["os::swap::zram-size  "]);
    let poor = "rig: poor\nslots:\n  one: { board: generic-amd64, qemu: { machine: q35, network: none } }\n";
    place.file("poor.yaml", poor);
    let ran = place.run(&["run", "--list", "--rig", "poor.yaml", "--case", "os::time::*"]).await;
    ran.says(0, &["  skip: neither board, OS nor slot offers ", " of them skipped\n"]);
    let unknown = "error: unknown board `generic-amd46`; did you mean `generic-amd64`?";
    place.run(&["run", "--list", "--board", "generic-amd46"]).await.says(2, &[unknown]);
    place.run(&["run", "--list", "--slot", "amd46"]).await.says(2, &["no slot `amd46`"]);
    place
        .run(&["run", "--list", "--board", "generic-amd64", "--os", "balena"])
        .await
        .says(2, &["did you mean `balenaos`?"]);
    assert!(!place.path("cache").exists() && !place.path("out").exists(), "nothing was built or begun");
}

/// `shakedown run --list | head -1`, with the reader gone before the first line.
async fn closed_pipe() {
    let place = Place::new();
    place.file("run/journal.jsonl", "");
    for line in [
        "run --list --selection all",
        "boards list",
        "boards show generic-amd64 --resolved",
        "drivers",
        "schema board",
        "rigs list",
        "report run",
        "--help",
    ] {
        // The reader is gone for certain: the writer starts when it has been waited for.
        let gone = "mkfifo gone; (: <gone) & exec 3>gone; wait; rm gone";
        let script = format!("{gone}; {SHAKEDOWN} {line} >&3 2>err; echo $? >code");
        place.run_program("sh", &["-c", &script]).await;
        let text = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
        assert_eq!((text("code").trim(), text("err").as_str()), ("0", ""), "{line}");
    }
    // Another error of the stream is told.
    let ran = place.run_program("sh", &["-c", &format!("{SHAKEDOWN} boards list >/dev/full")]).await;
    ran.refused(3, "error: cannot write to standard output: No space left on device (os error 28)");
    // Nobody reads what is wrong either: the exit code stays.
    let script = format!("mkfifo gone; (: <gone) & exec 3>gone; wait; {SHAKEDOWN} boards show nothing 2>&3");
    assert_eq!(place.run_program("sh", &["-c", &script]).await.code, Some(2));
}

async fn rigs() {
    let place = Place::new();
    place.run(&["rigs", "check"]).await.says(0, &["the built-in QEMU rig: 3 slot(s), 0 error(s)"]);
    place.file(
        "rig.yaml",
        "rig: x\nslots:\n  a: { board: generic-amd46, qemu: { machine: q35 } }\n  b: { board: generic-amd64 }\n  c: { board: generic-amd64, qemu: { machine: q35 } }\n",
    );
    place.run(&["rigs", "check"]).await.says(
        2,
        &[
            "error: rig.yaml:3:15: slots.a.board: unknown board `generic-amd46`; did you mean `generic-amd64`?",
            "error: rig.yaml:4:3: slots.b.consoles: `main` is missing: boots are watched on it",
            "rig.yaml: 3 slot(s), 2 error(s)",
        ],
    );
    let screen = |capture: &str| {
        let consoles = "consoles: { main: { command: { run: [cat] } } }";
        let slot = format!("    board: generic-amd64\n    {consoles}\n{capture}");
        place.file("rig.yaml", format!("rig: x\nslots:\n  a:\n{slot}"));
    };
    for (settings, said) in [
        ("device: video0", "6:32: slots.a.capture.v4l2.device: `video0` is no absolute path"),
        (
            "device: /dev/video0, skip: 999",
            "6:51: slots.a.capture.v4l2.skip: more than 300 never end in time",
        ),
        ("device: /dev/video0, format: nv12", "6:53: slots.a.capture.v4l2.format: unknown choice `nv12`"),
    ] {
        screen(&format!("    capture: {{ v4l2: {{ {settings} }} }}\n"));
        place.run(&["rigs", "check"]).await.says(2, &[&format!("error: rig.yaml:{said}")]);
    }
    let offered = ["  capture          v4l2\n", "  offers           console-input, screenshot\n"];
    screen("    capture: { v4l2: { device: /dev/no-such } }\n");
    place.run(&["rigs", "show"]).await.says(0, &offered);
    let gone = "v4l2: cannot take a picture from /dev/no-such: expected a video device, got No such file or directory";
    place.run(&["rigs", "doctor", "--no-toggle"]).await.says(3, &["x/a capture: does not work: ", gone]);
    place.run(&["screen", "a"]).await.says(3, &[gone, "`shakedown rigs discover` shows those"]);
    place
        .run(&["screen", "a", "--like", "none.png"])
        .await
        .says(2, &["error: --like none.png: No such file"]);
    place.run(&["screen", "a", "--like", "rig.yaml"]).await.says(2, &["error: --like rig.yaml: Invalid PNG"]);
    place.run(&["screen", "a", "--like", "x", "--within", "101"]).await.says(2, &["expected 0 to 100"]);
    screen("");
    place.run(&["screen", "a"]).await.says(2, &["error: nothing takes pictures of a's screen"]);
}

/// Tools of a slot: what is wrong with them, and what this host lacks for them.
async fn tools() {
    let place = Place::new();
    let rig = |board: &str, tools: &str| {
        let slot = "qemu: { machine: virt, extra-disks: { internal: {} } }";
        place.file(
            "rig.yaml",
            format!("rig: x\nslots:\n  a:\n    board: {board}\n    {slot}\n    tools: {tools}\n"),
        );
    };
    let version = "version: { run: [cat, /x], is: '1' }";
    for (board, tools, said) in [
        (
            "generic-aarch64",
            format!("{{ uuu: {{ run: [x], {version} }} }}"),
            "6:19: slots.a.tools.uuu: generic-aarch64 is provisioned by disk-image, which runs no tool",
        ),
        (
            "iot-gate-imx8plus",
            format!("{{ uu: {{ run: [x], {version} }} }}"),
            "slots.a.tools.uu: unknown tool of vendor-tool `uu`; did you mean `uuu`?",
        ),
        (
            "iot-gate-imx8plus",
            format!("{{ uuu: {{ run: [x], {version} }} }}"),
            "slots.a.tools.uuu.run: nothing hands it the image",
        ),
        (
            "iot-gate-imx8plus",
            "{ uuu: { run: [x, '{image}'] } }".into(),
            "slots.a.tools.uuu: `version` is missing",
        ),
        (
            "iot-gate-imx8plus",
            format!("{{ uuu: {{ run: [x, '{{image}}'], {version}, port: usb1 }} }}"),
            "slots.a.tools.uuu.port: `usb1` is no place",
        ),
    ] {
        rig(board, &tools);
        place.run(&["rigs", "check"]).await.says(2, &["error: rig.yaml:", said]);
    }
    let board = "board: micro-tool\nname: Board of the tests\narch: amd64\nextends: linux\n\
        provision: { vendor-tool: { tool: edison } }\n";
    place.file("private/catalogue/micro-tool.yaml", board);
    rig(
        "micro-tool",
        &format!("{{ edison: {{ run: [/no/such/edison, '{{image}}'], done: flashed, {version} }} }}"),
    );
    let text = std::fs::read_to_string(place.path("rig.yaml")).unwrap().replace("virt,", "q35,");
    place.file("rig.yaml", &text);
    place.file("image", "x");
    let missing = "tools.edison: this host has no program `/no/such/edison`";
    place.run(&["rigs", "check", "--path", "private"]).await.says(3, &[missing, "1 slot(s), 1 error(s)"]);
    let dry = place.run(&["provision", "a", "image", "--dry-run", "--path", "private"]).await;
    dry.says(3, &["1. check-tool: look whether edison is there", "6. power-off-written", missing]);
    place
        .run(&["rigs", "doctor", "--no-toggle", "--path", "private"])
        .await
        .says(3, &["tools.edison", "cannot find /no/such/edison"]);
    // Without the tool the slot is not complete.
    place.file("rig.yaml", text.split("    tools:").next().unwrap());
    let dry = place.run(&["provision", "a", "image", "--dry-run", "--path", "private"]).await;
    dry.says(
        2,
        &["slot a lacks what vendor-tool needs", "tools.edison: the vendor's program that writes the board"],
    );
}

async fn sabotages() {
    let place = Place::new();
    let args = ["run", "--board", "generic-amd64", "--sabotage", "proven"];
    let all = place.run(&[&args[..], &["--list"]].concat()).await;
    all.says(0, &["12 cases in `all`"]);
    place
        .run(&[&args[..], &["--list", "--suite", "container"]].concat())
        .await
        .says(0, &["1 cases in `container::*`"]);
    // None of these has a proven one.
    place.run(&[&args[..], &["--case", "update::*"]].concat()).await.says(5, &["error: no case is selected"]);
    // A private OS without the facts that the sabotage uses.
    micro::documents(&place, "4s");
    micro::disk_rig(&place);
    place.file("good.img", guest::image(&guest::good()));
    let args =
        ["run", "--path", "private", "--os", "micro", "--image", "good.img", "--sabotage", "all", "--case"];
    let ran = place.run(&[&args[..], &["container::engine::data-on-data-partition"]].concat()).await;
    ran.says(
        5,
        &[
            "error: no sabotage of `container::engine::data-on-data-partition` can be made",
            "`micro` has no fact `engine-root`",
        ],
    );
    assert!(!place.path("out").exists(), "nothing was begun");
}
