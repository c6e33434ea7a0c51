//! Reading what is on a server, over an emulated link: 50 ms there and back, 25 MB/s.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dits_testkit::net::{LinkSettings, Net, Side};
use serde_json::Value;

use super::drive::{Drive, dits, program};
use super::{FILE, Studio, timed};
use crate::bench::measure::Cost;
use crate::bench::sharing::Server;
use crate::bench::{Samples, note, tools};
use crate::{Failure, place};

/// There and back.
pub const ROUND_TRIP: f64 = 0.050;
/// What the link carries, in Mbit/s of IP packets.
const MBIT: f64 = 200.0;
/// What a player reads at a time.
const PIECE: usize = 64 << 10;

pub fn round(studio: &Studio, rclone: bool, samples: &mut Samples) -> Result<(), Failure> {
    let delay = Duration::from_secs_f64(ROUND_TRIP / 2.0);
    let settings = LinkSettings { delay, mbit: MBIT, ..LinkSettings::default() };
    let Some(net) = Net::new("cold reads", &settings) else { return Ok(()) };
    for subject in ["dits", "rclone"].into_iter().filter(|subject| rclone || *subject == "dits") {
        let served = if subject == "dits" { over_dits(studio, &net) } else { over_sftp(studio, &net) };
        match served {
            Ok((_server, drive)) => watch(&net, &drive, subject, samples),
            Err(why) => println!("{subject:>14} FAILED to begin: {why}"),
        }
        clear(studio)?;
    }
    Ok(())
}

fn clear(studio: &Studio) -> std::io::Result<()> {
    for name in ["there", "home", "rclone-cache"] {
        let folder = studio.place.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
    }
    fs::create_dir_all(studio.place.join("home"))
}

/// As a player does: the beginning, the end, somewhere in between; and a part of a very large file.
fn watch(net: &Net, drive: &Drive, subject: &str, samples: &mut Samples) {
    let mut put = |operation: &str, cost| note(samples, ["cold", subject, operation], cost);
    let (clip, large) = (drive.point.join("clip.bin"), drive.point.join(FILE));
    let len = fs::metadata(&clip).map_or(0, |meta| meta.len());
    put("start", read(net, drive, &clip, 0, PIECE));
    put("seek to the end", read(net, drive, &clip, len.saturating_sub(PIECE as u64), PIECE));
    put("seek to the middle", read(net, drive, &clip, len / 2, PIECE));
    let middle = fs::metadata(&large).map_or(0, |meta| meta.len()) / 2;
    put("10 MB of the middle", read(net, drive, &large, middle, 10_000_000));
}

fn read(net: &Net, drive: &Drive, path: &Path, at: u64, len: usize) -> Result<Cost, String> {
    let wire = || [Side::A, Side::B].iter().map(|side| net.counters(*side).bytes).sum::<u64>();
    let before = wire();
    let mut buffer = vec![0; len];
    let cost = timed(Some(drive), || File::open(path)?.read_exact_at(&mut buffer, at))?;
    // What was asked for beyond comes too.
    std::thread::sleep(Duration::from_millis(500));
    Ok(Cost { wire: wire() - before, ..cost })
}

/// A server of dits that has everything, and a drive of its address.
fn over_dits(studio: &Studio, net: &Net) -> Result<(Server, Drive), String> {
    let there = studio.place.join("there").display().to_string();
    let server_program = || Command::new(place::target().join("release/dits-server"));
    let administer = |args: &[&str]| dits(&studio.place, server_program(), &[args, &["--root", &there]].concat());
    administer(&["repo", "create", "film"])?;
    let token = ["--json", "token", "create", "bench", "--repository", "film", "--allow", "read,write"];
    let said: Value = serde_json::from_str(&administer(&token)?).map_err(|e| e.to_string())?;
    let token = said["token"].as_str().unwrap_or_default().to_owned();
    let address = net.address(Side::B);
    let mut serve = net.command(Side::B, server_program().get_program());
    tools::environment(&mut serve, &studio.place);
    serve.args(["serve", "--listen", &format!("{address}:0"), "--root", &there]);
    let server = Server::start(serve, "serving on")?;
    let url = format!("dits://{}/film", server.address().unwrap_or_default());
    // The push is not measured, and goes not over the link.
    let mut push = net.command(Side::B, program().get_program());
    push.current_dir(&studio.folder).env("DITS_TOKEN", &token);
    dits(&studio.place, push, &["push", "-q", &url, "main"])?;
    let mut mount = net.command(Side::A, program().get_program());
    mount.env("DITS_TOKEN", &token);
    let drive = Drive::dits(&studio.place, mount, &["--read-only"], &url)?;
    // A drive that somebody has just mounted has dialled by the time that they play something.
    std::thread::sleep(Duration::from_secs(1));
    Ok((server, drive))
}

fn over_sftp(studio: &Studio, net: &Net) -> Result<(Server, Drive), String> {
    let mut obscure = Command::new("rclone");
    let password = dits(
        &studio.place,
        {
            obscure.arg("obscure");
            obscure
        },
        &["bench"],
    )?;
    let address = net.address(Side::B);
    let mut serve = net.command(Side::B, "rclone");
    tools::environment(&mut serve, &studio.place);
    serve.args(["serve", "sftp"]).arg(&studio.folder).args(["--user", "bench", "--pass", "bench", "-v"]);
    serve.args(["--addr", &format!("{address}:2022")]);
    let server = Server::start(serve, "listening on")?;
    let login = format!("user=bench,pass={}", password.trim());
    let remote = format!(":sftp,host={address},port=2022,{login}:");
    let drive = Drive::rclone(&studio.place, net.command(Side::A, "rclone"), &remote)?;
    Ok((server, drive))
}
