//! `watch`: a run as it goes on. In a terminal until q or Ctrl-C; once where nobody looks; as a page with `--serve`.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use cognate_base::Monitor;
use cognate_report::headline;
use cognate_run::Snapshot;
use cognate_run::rundir::RunDirError;
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute, queue};

use super::serve;
use super::shared::{Result, print};
use crate::args::WatchArgs;
use crate::output::visible_line;
use crate::terminal::Terminal;

/// Between two looks at the directory.
const LOOK: Duration = Duration::from_millis(500);
/// Columns and lines where there is no terminal.
const PLAIN: (usize, usize) = (100, 60);

pub(crate) fn watch(args: &WatchArgs, terminal: &Terminal) -> Result {
    match args.serve {
        Some(address) => serve::serve(&args.dir, address, terminal),
        None if io::stdout().is_terminal() && io::stdin().is_terminal() => follow(&args.dir, terminal),
        None => once(&args.dir),
    }
}

/// One look, for a pipe or a file.
fn once(dir: &Path) -> Result {
    let Some(snapshot) = Snapshot::take(dir)? else {
        return Err(RunDirError::NoRun { folder: dir.to_path_buf() }.into());
    };
    print(&format!("{}\n", frame(&snapshot, PLAIN.0, PLAIN.1).join("\n")))
}

/// A run as lines, with its answer once there is one.
fn frame(snapshot: &Snapshot, width: usize, height: usize) -> Vec<String> {
    snapshot.frame(snapshot.report().map(headline).as_deref(), width, height)
}

/// Looks again and again until the user has seen enough.
fn follow(dir: &Path, terminal: &Terminal) -> Result {
    let screen = Screen::enter()?;
    let looked = look_until_told(dir, terminal);
    drop(screen);
    looked
}

fn look_until_told(dir: &Path, terminal: &Terminal) -> Result {
    loop {
        draw(dir)?;
        let until = Instant::now() + LOOK;
        loop {
            if terminal.interrupted() {
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            if !event::poll(left)? {
                break;
            }
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Release => {}
                Event::Key(key) if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') => {
                    return Ok(());
                }
                Event::Key(key) if matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) => return Ok(()),
                Event::Resize(..) => break,
                _ => {}
            }
        }
    }
}

/// The whole screen anew, without a moment in which it is empty.
fn draw(dir: &Path) -> Result {
    let (width, height) = terminal::size()?;
    let (width, height) = (usize::from(width), usize::from(height).saturating_sub(1));
    let lines = match Snapshot::take(dir)? {
        Some(snapshot) => frame(&snapshot, width, height),
        None => vec![format!("There is no run in {} yet.", dir.display()).chars().take(width).collect()],
    };
    let mut out = io::stdout().lock();
    for row in 0..height {
        let line = visible_line(lines.get(row).map_or("", String::as_str));
        queue!(out, cursor::MoveTo(0, row as u16))?;
        write!(out, "{line}")?;
        queue!(out, Clear(ClearType::UntilNewLine))?;
    }
    queue!(out, cursor::MoveTo(0, height as u16))?;
    write!(out, "{}", "q quits; the run goes on".chars().take(width).collect::<String>())?;
    queue!(out, Clear(ClearType::UntilNewLine))?;
    Ok(out.flush()?)
}

/// The alternate screen in raw mode; whatever happens, the terminal is as it was afterwards.
struct Screen;

impl Screen {
    fn enter() -> Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = execute!(io::stdout(), cursor::Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}
