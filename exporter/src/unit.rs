//! Numbers with units in settings.

/// Reads a whole number, with or without a unit: k, M and G are powers of 1000, and Ki, Mi and Gi
/// of 1024. `None` for other text, or a number of more than 64 bits.
pub fn number_with_unit(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 7] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("k", 1000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("", 1),
    ];
    let (digits, unit) =
        UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(unit)
}
