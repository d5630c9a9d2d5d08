//! What the operating system says of a process: processor time, memory, syncs. Linux only.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Processor time of all threads of a process so far, in nanoseconds.
pub fn cpu_nanoseconds(pid: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let of = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    threads.flatten().filter_map(of).sum()
}

/// Memory of a process that is in use now, in MiB.
pub fn resident_mib(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// Keeps all threads of a process on some processors, such as `1` or `0-3`; says whether the system did.
pub fn keep_on(pid: u32, processors: &str) -> bool {
    let mut command = Command::new("taskset");
    command.args(["-a", "-c", "-p", processors]).arg(pid.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A counter of syncs, for one process that is started with it.
pub struct Syncs {
    library: PathBuf,
    count: PathBuf,
}

impl Syncs {
    /// Compiles the counter into a directory.
    pub fn new(directory: &Path) -> Option<Syncs> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/metadata/count_syncs.c");
        let (library, count) = (directory.join("count_syncs.so"), directory.join("syncs"));
        fs::write(&count, [0; 8]).ok()?;
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(source).arg("-ldl").status();
        compiled.ok().filter(|status| status.success()).map(|_| Syncs { library, count })
    }

    /// Has a command count.
    pub fn watch(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("COUNT_SYNCS", &self.count);
    }

    /// How many there have been.
    pub fn count(&self) -> u64 {
        let mut bytes = [0; 8];
        let read = fs::File::open(&self.count).and_then(|mut file| file.read_exact(&mut bytes));
        read.map_or(0, |()| u64::from_ne_bytes(bytes))
    }
}

/// Which machine this is, in one line.
pub fn description() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().next().and_then(|line| line.split_whitespace().nth(1)).and_then(|n| n.parse::<u64>().ok());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{} cores of {}, {} GiB, Linux {}",
        std::thread::available_parallelism().map_or(1, usize::from),
        model.trim_start_matches([' ', '\t', ':']),
        kib.unwrap_or_default() / (1 << 20),
        kernel.trim()
    )
}
