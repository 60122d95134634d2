//! Numbers with units in settings.

/// Words for an error: that a number has no unit, and which one was probably meant. Empty for
/// another text, and for 0.
pub fn missing_unit(text: &str, unit: &str) -> String {
    let is_number = text.bytes().all(|octet| octet.is_ascii_digit());
    if is_number && text.contains(|digit: char| digit != '0') {
        format!("; {text} has no unit: {text}{unit}?")
    } else {
        String::new()
    }
}

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
