//! Members of JSON objects. A label is the comma, the name and the colon before a value.

use serde::Serialize;

use super::escape::{escaped_json, may_need_escape};

/// Appends a comma before a member, unless it is the first of its object.
pub(super) fn put_comma(out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
}

/// Appends text without escaping.
#[inline]
pub(super) fn put_text(out: &mut Vec<u8>, label: &[u8], text: &[u8]) {
    out.extend_from_slice(label);
    out.extend_from_slice(text);
}

/// Appends a number.
#[inline]
pub(super) fn put_number(out: &mut Vec<u8>, label: &[u8], number: impl itoa::Integer) {
    out.extend_from_slice(label);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends text as a JSON string.
pub(super) fn put_string(out: &mut Vec<u8>, label: &[u8], text: &str) {
    out.extend_from_slice(label);
    let begin = out.len();
    serde_json::to_writer(&mut *out, text).expect("a string can always be written");
    if may_need_escape(&out[begin..]) {
        out.truncate(begin);
        out.extend_from_slice(json_string(text).as_bytes());
    }
}

/// Converts a value to JSON that is safe for a terminal. Text gets its quotes.
pub(super) fn json_string(value: &(impl Serialize + ?Sized)) -> String {
    let json = serde_json::to_string(value).expect("such a value can always be written");
    if may_need_escape(json.as_bytes()) { escaped_json(&json) } else { json }
}
