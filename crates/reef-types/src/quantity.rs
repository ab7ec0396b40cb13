//! Byte sizes and cpu shares as people write them (`2g`, `512m`, `1.5`).

/// Parses a memory size: a whole number of bytes, or one with the binary suffix `k`, `m` or `g` (an `i` and a `b` may
/// follow: `512MiB`).
pub fn parse_bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let lower = lower.strip_suffix('i').unwrap_or(lower);
    let (digits, shift) = match lower.as_bytes().last()? {
        b'k' => (&lower[..lower.len() - 1], 10),
        b'm' => (&lower[..lower.len() - 1], 20),
        b'g' => (&lower[..lower.len() - 1], 30),
        _ => (lower, 0),
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift)
}

/// Parses a number of cpus (`2`, `0.5`) into thousandths.
pub fn parse_cpus_milli(text: &str) -> Option<u32> {
    let cpus: f64 = text.trim().parse().ok()?;
    (cpus.is_finite() && cpus > 0.0 && cpus <= 1024.0).then(|| (cpus * 1000.0).round() as u32)
}

/// `2.0 GiB`, `512 MiB`: for people, never for machines.
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value >= 100.0 { format!("{value:.0} {}", UNITS[unit]) } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        for (text, expect) in [
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("512m", Some(512 << 20)),
            ("2G", Some(2 << 30)),
            ("2GiB", Some(2 << 30)),
            ("1kb", Some(1024)),
            ("", None),
            ("g", None),
            ("-1", None),
            ("1.5g", None),
            ("99999999999999999g", None),
        ] {
            assert_eq!(parse_bytes(text), expect, "{text}");
        }
        assert_eq!(format_bytes(2 << 30), "2.0 GiB");
        assert_eq!(format_bytes(512 << 20), "512 MiB");
    }

    #[test]
    fn cpus() {
        for (text, expect) in
            [("2", Some(2000)), ("0.5", Some(500)), ("0", None), ("-1", None), ("x", None), ("inf", None)]
        {
            assert_eq!(parse_cpus_milli(text), expect, "{text}");
        }
    }
}
