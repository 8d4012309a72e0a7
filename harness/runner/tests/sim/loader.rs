//! A boot loader that waits for its files: it takes every line, and says of variables what the world's
//! facts hold.

use std::net::{Ipv4Addr, SocketAddr};

use shakedown_console::{Finder, Patterns};
use shakedown_core::{
    BootFile, Console, Cursor, Deadline, Fault, Fetch, Fut, InfraKind, Loader, LoaderNet, Matcher, Prompt,
    Rig, Serving, Tftp,
};

use super::Shared;

pub(crate) const COUNTDOWN: &str = "Hit any key to stop autoboot: 3\n";

/// A server of somebody else's: it does not say who took what.
pub(crate) struct Files;

impl Tftp for Files {
    fn loader(&self) -> Option<LoaderNet> {
        None
    }

    fn serve<'a>(&'a self, _files: Vec<BootFile>, _by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Serving>>> {
        Box::pin(async { Ok(Box::new(Self) as Box<dyn Serving>) })
    }
}

impl Serving for Files {
    fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 69).into()
    }

    fn fetches(&self) -> Option<Vec<Fetch>> {
        None
    }
}

pub(super) async fn interrupt(
    world: &Shared,
    console: &Console,
    loader: &Loader,
    mut since: Cursor,
    by: &Deadline,
) -> Rig<Box<dyn Prompt>> {
    let patterns = Patterns::compile(&[&loader.countdown]).unwrap();
    let mut finder = Finder::new(&patterns);
    let seen = console.log.expect(&mut since, &mut finder as &mut dyn Matcher, by).await;
    let fault = |end| {
        Fault::new(InfraKind::Console, "sim", "interrupt", "it").expected("countdown", format!("{end:?}"))
    };
    seen.map_err(fault)?;
    Ok(Box::new(Waits(world.clone())))
}

struct Waits(Shared);

impl Prompt for Waits {
    fn must<'a>(&'a mut self, _command: &'a str, _by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async { Ok(String::new()) })
    }

    fn set<'a>(&'a mut self, name: &'a str, value: &'a str, _by: &'a Deadline) -> Fut<'a, Rig<()>> {
        self.0.lock().unwrap().facts.insert(name.to_owned(), value.to_owned());
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(&'a mut self, name: &'a str, _by: &'a Deadline) -> Fut<'a, Rig<String>> {
        let value = self.0.lock().unwrap().facts.get(name).cloned().unwrap_or_default();
        Box::pin(async { Ok(value) })
    }

    fn leave<'a>(self: Box<Self>, _line: &'a str, _by: &'a Deadline) -> Fut<'a, Rig<Cursor>> {
        let mut world = self.0.lock().unwrap();
        let from = world.log.here();
        world.led += 1;
        (world.left)(&world);
        Box::pin(async move { Ok(from) })
    }
}
