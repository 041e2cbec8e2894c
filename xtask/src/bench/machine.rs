//! What the benchmark ran on, in words that fit a public page: processor, cores, kernel, versions, date.
//!
//! **Invariant**: no host name, user or path is part of it.

use std::fs;
use std::process::Command;

/// A line per fact, as Markdown list items.
pub(crate) fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let facts = [
        ("Processor", model(&cpu).to_owned()),
        ("Cores", cpu.lines().filter(|line| line.starts_with("processor")).count().to_string()),
        ("Virtual machine", if cpu.contains("hypervisor") { "yes" } else { "no" }.to_owned()),
        ("Memory", format!("{:.0} GiB", gibibytes(&memory))),
        ("Kernel", format!("Linux {}", kernel.trim())),
        ("nginx", said("nginx", "-v").replace("nginx version: ", "")),
        ("Rust", said("rustc", "--version")),
        ("Date", said("date", "+%Y-%m-%d")),
    ];
    facts.iter().map(|(name, value)| format!("- {name}: {value}\n")).collect()
}

fn model(cpuinfo: &str) -> &str {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, model)| model)
}

fn gibibytes(meminfo: &str) -> f64 {
    let total = meminfo.lines().find(|line| line.starts_with("MemTotal:"));
    let kilobytes = total.and_then(|line| line.split_whitespace().nth(1)).and_then(|text| text.parse().ok());
    kilobytes.unwrap_or(0.0) / 1024.0 / 1024.0
}

/// The first line that a program prints, on either stream: nginx tells its version on standard error.
fn said(program: &str, arg: &str) -> String {
    let program = crate::shell::which(program).unwrap_or_else(|| program.into());
    let Ok(output) = Command::new(program).arg(arg).output() else { return "unknown".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_the_kernels_files() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Fast 9000\n"), "Fast 9000");
        assert_eq!(model(""), "unknown");
        assert_eq!(gibibytes("MemTotal:       25165824 kB\n"), 24.0);
    }

    #[test]
    fn a_page_may_show_it() {
        let text = describe();
        assert!(text.contains("- Kernel: Linux ") && text.contains("- Cores: "));
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert!(!text.contains(&format!(" {} ", host.trim())), "{text}");
    }
}
