//! What the machine says of itself and of this process.

/// Load and memory; what the system does not tell is `None`.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Over 1, 5 and 15 minutes.
    pub(super) load: Option<[f64; 3]>,
    pub(super) process_bytes: Option<u64>,
    pub(super) total_bytes: Option<u64>,
    pub(super) free_bytes: Option<u64>,
}

/// Reads three small files of the kernel's memory, never a disk.
pub(super) fn machine() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let memory = read("/proc/meminfo");
    let of_memory = |field| memory.as_deref().and_then(|text| kilobytes(text, field));
    Machine {
        load: read("/proc/loadavg").and_then(|text| load(&text)),
        process_bytes: read("/proc/self/status").and_then(|text| kilobytes(&text, "VmRSS:")),
        total_bytes: of_memory("MemTotal:"),
        free_bytes: of_memory("MemAvailable:"),
    }
}

/// Finds a line such as `VmRSS:   1234 kB` and returns its bytes.
fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let number = line.split_whitespace().next()?.parse::<u64>().ok()?;
    number.checked_mul(1024)
}

fn load(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split_whitespace().map_while(|word| word.parse().ok());
    Some([numbers.next()?, numbers.next()?, numbers.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_the_kernels_texts_and_missing_where_they_are_not() {
        assert_eq!(kilobytes("VmPeak: 9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(kilobytes("VmRSS: many kB", "VmRSS:"), None);
        assert_eq!(load("0.50 1.00 2.25 1/321 77"), Some([0.5, 1.0, 2.25]));
        assert_eq!(load("0.50 x"), None);
    }
}
